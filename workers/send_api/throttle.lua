-- Takes up to `want` tokens from each page's bucket for one lane; answers how many it got.
-- KEYS: one hash a page. ARGV[1]: the lane, 'utility' or 'promotional'; then, page by page, its rate and what is wanted.
-- Real time, from this server: the one clock that all workers share.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local lane = ARGV[1]
local other = lane == 'utility' and 'promotional' or 'utility'
local share = 0.2     -- what each lane keeps of the rate while both want it
local memory = 2      -- seconds over which shares are counted
local granted = {}

for i, key in ipairs(KEYS) do
    local rate, want = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    -- A full bucket and a second of refilling are `rate` together: no second sees more.
    local room = math.max(1, rate * 0.1)
    local refill = math.min(rate * 0.9, math.max(rate - room, 0.9))
    local found = redis.call('HMGET', key, 'tokens', 'at', 'utility', 'promotional', other .. '_wants', 'closed')
    -- INVARIANT: a bucket that is not there is empty. A restarted or flushed server must not let everything out at once.
    local at = tonumber(found[2]) or now
    local passed = math.max(0, now - at)
    local tokens = math.min(room, (tonumber(found[1]) or 0) + passed * refill)
    local fading = math.exp(-passed / memory)
    local used = { utility = (tonumber(found[3]) or 0) * fading, promotional = (tonumber(found[4]) or 0) * fading }
    local contested = now - (tonumber(found[5]) or 0) < 0.5
    local closed = tonumber(found[6]) or 0
    local get = 0

    if closed > now then
        tokens = 0
    else
        local available = math.floor(tokens + 1e-9)
        if contested then
            local total = used.utility + used.promotional
            local owed = share * (total + available) - used.promotional
            if lane == 'promotional' then
                available = math.min(available, math.max(0, math.ceil(owed)))
            elseif owed > 0 then
                available = math.max(0, available - math.ceil(owed))
            end
        end
        get = math.min(want, available)
        tokens = tokens - get
    end

    used[lane] = used[lane] + get
    redis.call('HSET', key, 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now),
        'utility', string.format('%.6f', used.utility), 'promotional', string.format('%.6f', used.promotional),
        lane .. '_wants', get < want and string.format('%.6f', now) or '0')
    redis.call('PEXPIRE', key, math.floor(math.max(600, closed - now + 600) * 1000))
    granted[i] = get
end

return granted
