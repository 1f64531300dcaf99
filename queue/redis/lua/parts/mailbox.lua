-- A mailbox: a stream of entries `<position>-<ms of the append>`, each one value: id (16), kind (1), expiry (6),
-- ciphertext. Its record says how much it holds. An emptied stream is deleted, but never on the record's word alone.
local HEADER = 23

local function expiry_of(value)
  return (struct.unpack('>I6', value, 18))
end

-- So many entries and bytes leave a mailbox.
local function forgotten(r, count, bytes)
  added.envelopes = added.envelopes - count
  added.bytes = added.bytes - bytes
  added.removed = true
  r.bytes = math.max(0, r.bytes - bytes)
  r.count = r.count - count
end

local function drop(key, r, ids, bytes)
  if #ids == 0 then return end
  forgotten(r, #ids, bytes)
  if r.count <= 0 then
    r.count = redis.call('XLEN', key) - #ids
    if r.count == 0 then
      added.mailboxes = added.mailboxes - 1
      redis.call('DEL', key)
      return
    end
  end
  redis.call('XDEL', key, unpack(ids))
end
