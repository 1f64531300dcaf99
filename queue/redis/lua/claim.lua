#!lua flags=allow-oom
-- Claims mailboxes: by an epoch above the highest one seen, or by the owner that repeats itself.
-- USES: record
-- KEYS: owner record of each item
-- ARGV: items: epoch I8, session I6, length B of node, node
-- RETURNS: for each item n (no device), b (behind) and the highest epoch I8, or c and the owner that is displaced
local items, at = ARGV[1], 1

return for_each_record(KEYS, 1, 1, function(r, key)
  local epoch, session, length, start = struct.unpack('>I8I6B', items, at)
  local node = string.sub(items, start, start + length - 1)
  at = start + length
  if not r then return 'n' end
  local same = r.node == node and r.session == session
  if same and r.epoch == epoch then return 'c' end
  if epoch <= r.epoch then return 'b' .. struct.pack('>I8', r.epoch) end
  local displaced = same and '' or owner_of(r)
  r.node, r.session, r.epoch = node, session, epoch
  note(key)
  return 'c' .. displaced
end)
