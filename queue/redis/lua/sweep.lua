#!lua flags=allow-oom
-- Removes what has expired from some mailboxes.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each
-- ARGV: now
-- RETURNS: how many entries were removed, and when the oldest that is left was appended (an empty string: none is left)
local now, removed, oldest = clock(ARGV[1]), 0, math.huge
for i = 1, (#KEYS - 1) / 2 do
  local owner, mailbox = KEYS[2 * i], KEYS[2 * i + 1]
  local r = recall(owner)
  if not r then
    redis.call('DEL', mailbox)
  else
    local due = r.due
    removed = removed + prune(mailbox, r, now)
    if r.due ~= due then note(owner, r) end
    local first = redis.call('XRANGE', mailbox, '-', '+', 'COUNT', 1)[1]
    if first then oldest = math.min(oldest, tonumber(string.match(first[1], '-(%d+)$'))) end
  end
end
count_up(KEYS[1], now)
return { removed, oldest == math.huge and '' or string.format('%d', oldest) }
