-- What a call adds to the counters of the store: mailboxes, envelopes and bytes that are held, and since when there are
-- removed bytes in files, before and since the last rewrite began (0: none). Written once a call, in one key; only the
-- sum over all shards means something.
local COUNTERS = '>i8i8i8I6I6'
local added = { mailboxes = 0, envelopes = 0, bytes = 0, removed = false }

local function count_up(key, now)
  if added.mailboxes == 0 and added.envelopes == 0 and added.bytes == 0 and not added.removed then return end
  local raw = redis.call('GET', key) or struct.pack(COUNTERS, 0, 0, 0, 0, 0)
  local mailboxes, envelopes, bytes, since, rewriting = struct.unpack(COUNTERS, raw)
  if added.removed and since == 0 then since = now end
  redis.call('SET', key, struct.pack(COUNTERS, mailboxes + added.mailboxes, envelopes + added.envelopes,
    bytes + added.bytes, since, rewriting))
end
