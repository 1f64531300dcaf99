-- A mailbox: a stream of entries `<position>-<ms of the append>`, each one value: id (16), kind (1), expiry (6), and
-- ciphertext or what stands in place of it. Its record says how much it holds. An emptied stream is deleted, but never on
-- the record's word alone.
local HEADER = 23

local function expiry_of(value)
  return (struct.unpack('>I6', value, 18))
end
