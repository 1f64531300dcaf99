#!lua flags=allow-oom
-- Removes what has expired from some mailboxes.
-- USES: clock, record, counters, mailbox, payload, leaving, prune, clearing
-- KEYS: counters, then owner record and mailbox of each
-- ARGV: now
-- RETURNS: how many entries were removed, and when the oldest that is left was appended (an empty string: none is left)
local now, removed, oldest = clock(ARGV[1]), 0, math.huge

for_each_record(KEYS, 2, 2, function(r, key, mailbox)
  if not r then
    clear(mailbox)
    return
  end
  local due = r.due
  removed = removed + prune(mailbox, r, now)
  if r.due ~= due then note(key) end
  local first = redis.call('XRANGE', mailbox, '-', '+', 'COUNT', 1)[1]
  if first then oldest = math.min(oldest, tonumber(string.match(first[1], '-(%d+)$'))) end
end, function() settle(KEYS[1], now) end)
return { removed, oldest == math.huge and '' or string.format('%d', oldest) }
