-- Tells the pages' breakers what became of messages. KEYS: one breaker a page. ARGV: a random number in [0, 1), then, page by
-- page, a letter a message in the order they ended: 'a' answered, 'f' failed, 'n' neither; capitals for a probe.
-- Answers, page by page: the milliseconds for which it opened just now, 0 if it did not, -1 if it closed.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local in_a_row, recent = 5, 20
local first, last = 2, 60    -- seconds for which it opens, doubling
local news = {}

for i, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'open', 'times', 'failed', 'recent')
    local open, times = tonumber(found[1] or ''), tonumber(found[2]) or 0
    local failed, seen = tonumber(found[3]) or 0, found[4] or ''
    local told, probed = 0, false

    local function trip()
        local pause = math.min(last, first * 2 ^ math.min(times, 16))
        -- Equal jitter, so that pages do not come back in step.
        pause = pause / 2 + pause / 2 * tonumber(ARGV[1])
        open, times, failed, seen, probed = now + pause, times + 1, 0, '', true
        told = math.ceil(pause * 1000)
    end

    for letter in string.gmatch(ARGV[i + 1], '.') do
        if open then
            -- What was on its way when it opened says nothing about now. Only the probe does.
            if letter == 'A' then
                open, times, failed, seen, probed, told = nil, 0, 0, '', true, -1
            elseif letter == 'F' then
                trip()
            elseif letter == 'N' then
                probed = true
            end
        elseif string.lower(letter) ~= 'n' then
            local bad = string.lower(letter) == 'f'
            failed = bad and failed + 1 or 0
            seen = string.sub(seen .. (bad and 'f' or 'a'), -recent)
            local _, bads = string.gsub(seen, 'f', '')
            if failed >= in_a_row or (#seen == recent and bads > recent / 2) then trip() end
        end
    end

    if open then
        redis.call('HSET', key, 'open', string.format('%.6f', open), 'times', times, 'failed', failed, 'recent', seen)
    else
        redis.call('HDEL', key, 'open', 'times')
        redis.call('HSET', key, 'failed', failed, 'recent', seen)
    end
    if probed then redis.call('HDEL', key, 'probe') end
    redis.call('PEXPIRE', key, 3600000)
    news[i] = told
end

return news
