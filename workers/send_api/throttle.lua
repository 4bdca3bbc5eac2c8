-- Takes up to `want` tokens from each page's bucket for one lane.
-- KEYS: one bucket a page, then one breaker a page. ARGV[1]: the lane, 'utility' or 'promotional'; then, page by page,
-- its rate and what is wanted. Answers four numbers a page: how many it got, how many of them may be retries, the
-- milliseconds for which it gets nothing in any case, and 1 if what it got is to find out whether it works again.
-- Real time, from this server: the one clock that all workers share.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local lane = ARGV[1]
local other = lane == 'utility' and 'promotional' or 'utility'
local share = 0.2     -- what each lane keeps of the rate while both want it
local memory = 2      -- seconds over which shares are counted
local ceiling = 38    -- what any second may see on the wire: 40 freeze a page's inbox, and the way there has its jitter
local age = 0.1       -- seconds between a token and the byte it is for, at least: see fresh_for
local minute = 60     -- over which retries are counted
local spare = 6       -- seconds in which one may be retried whatever there was to earn it with
local probing = 30    -- seconds after which a probe that nobody reported is given up
local answers = {}
local pages = #KEYS / 2

for i = 1, pages do
    local key, breaker = KEYS[i], KEYS[pages + i]
    local rate, want = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    -- A full bucket and a second of refilling are `rate` together: no second sees more. Tokens that are used late add
    -- to the next second's: for them the refilling is slower where the rate is high.
    local room = math.max(1, math.min(3, rate * 0.1))
    local refill = math.min(rate * 0.9, math.max(rate - room, 0.9), (ceiling - room) / (1 + age))
    local found = redis.call('HMGET', key, 'tokens', 'at', 'utility', 'promotional', other .. '_wants', 'closed',
        'retries')
    -- INVARIANT: a bucket that is not there is empty. A restarted or flushed server must not let everything out at once.
    local at = tonumber(found[2]) or now
    local passed = math.max(0, now - at)
    local tokens = math.min(room, (tonumber(found[1]) or 0) + passed * refill)
    local fading = math.exp(-passed / memory)
    local used = { utility = (tonumber(found[3]) or 0) * fading, promotional = (tonumber(found[4]) or 0) * fading }
    local contested = now - (tonumber(found[5]) or 0) < 0.5
    local closed = tonumber(found[6]) or 0
    -- Retries: one now and then, and what first tries earn; what is not used is forgotten over a minute.
    local retries = tonumber(found[7]) or 0
    if retries > 1 then
        retries = 1 + (retries - 1) * math.exp(-passed / minute)
    else
        retries = math.min(1, retries + passed / spare)
    end
    local wait, probe = math.max(0, closed - now), 0
    local most = want
    local broken = redis.call('HMGET', breaker, 'open', 'probe')
    if broken[1] then
        -- Open until then, half open afterwards: one message goes, and no other before it is known what became of it.
        wait = math.max(wait, tonumber(broken[1]) - now)
        if tonumber(broken[2] or '0') > now then wait = math.max(wait, 0.25) end
        most, probe = math.min(want, 1), 1
    end
    local get = 0

    if closed > now then
        tokens = 0
    elseif wait <= 0 then
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
        get = math.min(most, available)
        tokens = tokens - get
    end
    if probe == 1 and get == 1 then
        redis.call('HSET', breaker, 'probe', string.format('%.6f', now + probing))
    end

    used[lane] = used[lane] + get
    redis.call('HSET', key, 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now),
        'utility', string.format('%.6f', used.utility), 'promotional', string.format('%.6f', used.promotional),
        'retries', string.format('%.6f', retries + get * 0.1),
        lane .. '_wants', get < want and string.format('%.6f', now) or '0')
    redis.call('PEXPIRE', key, math.floor(math.max(600, closed - now + 600) * 1000))
    answers[4 * i - 3] = get
    answers[4 * i - 2] = probe == 1 and get or math.max(0, math.floor(retries))
    answers[4 * i - 1] = math.ceil(math.max(0, wait) * 1000)
    answers[4 * i] = probe == 1 and get or 0
end

return answers
