/**
 * Bytes that belong to their receiver. The client gives parts of what it read from the socket: a
 * small part is copied, so that whoever keeps it does not keep all of it, and whoever changes or
 * transfers it touches nothing else.
 */
export function ownBytes(data: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = data;
  if (byteLength * 2 < buffer.byteLength) return new Uint8Array(data);
  // Node's own kind of byte array behaves differently from a plain one.
  return new Uint8Array(buffer, byteOffset, byteLength);
}
