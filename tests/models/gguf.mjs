// GGUF in JavaScript, apart from the program's own writer and from llama.cpp: {keys, tensors}, a
// tensor being {shape (innermost first), type, data (numbers, dequantised)}.

import { bfloatToNumber, halfToNumber } from './safetensors.mjs';

class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  u32() {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }
  u64() {
    this.at += 8;
    return Number(this.bytes.readBigUInt64LE(this.at - 8));
  }
  text() {
    const size = this.u64();
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at).toString();
  }
  value(type) {
    switch (type) {
      case 0: this.at += 1; return this.bytes[this.at - 1];
      case 4: return this.u32();
      case 5: this.at += 4; return this.bytes.readInt32LE(this.at - 4);
      case 6: this.at += 4; return this.bytes.readFloatLE(this.at - 4);
      case 7: this.at += 1; return this.bytes[this.at - 1] === 1;
      case 8: return this.text();
      case 9: {
        const inner = this.u32();
        const count = this.u64();
        return Array.from({ length: count }, () => this.value(inner));
      }
      case 10: return this.u64();
      default: throw new Error(`value of type ${type}`);
    }
  }
}

const kTypes = { 0: 'f32', 1: 'f16', 8: 'q8_0', 30: 'bf16' };

function numbers(bytes, type, count) {
  const data = new Float32Array(count);
  for (let i = 0; i < count; ++i) {
    if (type === 'f32') data[i] = bytes.readFloatLE(i * 4);
    if (type === 'f16') data[i] = halfToNumber(bytes.readUInt16LE(i * 2));
    if (type === 'bf16') data[i] = bfloatToNumber(bytes.readUInt16LE(i * 2));
    if (type === 'q8_0') {
      const block = Math.floor(i / 32) * 34;
      data[i] = halfToNumber(bytes.readUInt16LE(block)) * bytes.readInt8(block + 2 + (i % 32));
    }
  }
  return data;
}

const kBytes = { f32: (n) => n * 4, f16: (n) => n * 2, bf16: (n) => n * 2, q8_0: (n) => (n / 32) * 34 };

export function readGguf(file) {
  const cursor = new Cursor(file);
  if (file.subarray(0, 4).toString() !== 'GGUF') throw new Error('no GGUF');
  cursor.at = 4;
  const version = cursor.u32();
  const tensorCount = cursor.u64();
  const keyCount = cursor.u64();
  const keys = {};
  for (let i = 0; i < keyCount; ++i) {
    const key = cursor.text();
    keys[key] = cursor.value(cursor.u32());
  }
  const table = [];
  for (let i = 0; i < tensorCount; ++i) {
    const name = cursor.text();
    const shape = Array.from({ length: cursor.u32() }, () => cursor.u64());
    const type = kTypes[cursor.u32()];
    table.push({ name, shape, type, offset: cursor.u64() });
  }
  const begin = Math.ceil(cursor.at / 32) * 32;
  const tensors = {};
  for (const { name, shape, type, offset } of table) {
    const count = shape.reduce((a, b) => a * b, 1);
    const bytes = file.subarray(begin + offset, begin + offset + kBytes[type](count));
    tensors[name] = { shape, type, data: numbers(bytes, type, count) };
  }
  return { version, keys, tensors };
}
