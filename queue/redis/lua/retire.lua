#!lua flags=allow-oom
-- Removes a device's mailbox for good: the tombstone first, then the mail.
-- USES: clock, record, counters
-- KEYS: counters, owner record, mailbox
-- ARGV: now
-- RETURNS: the owner that there was, or nothing
local r = record_in(redis.call('GET', KEYS[2]))
if not r then return '' end
redis.call('SET', KEYS[2], TOMBSTONE)
if redis.call('DEL', KEYS[3]) == 1 then
  added.mailboxes, added.envelopes, added.bytes, added.removed = -1, -r.count, -r.bytes, true
end
count_up(KEYS[1], clock(ARGV[1]))
return owner_of(r)
