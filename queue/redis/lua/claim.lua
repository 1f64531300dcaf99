#!lua flags=allow-oom
-- Claims mailboxes: by an epoch above the highest one seen, or by the owner that repeats itself.
-- USES: record
-- KEYS: owner record of each item
-- ARGV: items: epoch I8, session I6, length B of node, node
-- RETURNS: for each item n (no device), b (behind) and the highest epoch I8, or c and the owner that is displaced
local at, out = 1, {}
for i, key in ipairs(KEYS) do
  local epoch, session, length, start = struct.unpack('>I8I6B', ARGV[1], at)
  local node = string.sub(ARGV[1], start, start + length - 1)
  at = start + length
  local r = recall(key)
  local same = r and r.node == node and r.session == session
  if not r then
    out[i] = 'n'
  elseif same and r.epoch == epoch then
    out[i] = 'c'
  elseif epoch <= r.epoch then
    out[i] = 'b' .. struct.pack('>I8', r.epoch)
  else
    out[i] = 'c' .. (same and '' or owner_of(r))
    r.node, r.session, r.epoch = node, session, epoch
    note(key, r)
  end
end
return out
