// Safetensors in JavaScript, apart from the program's own reader: {name: {dtype, shape, data}} to
// and from bytes, `data` being numbers.

const kSizes = { F32: 4, F16: 2, BF16: 2 };

export function halfToNumber(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));
function bits(value) {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

// Rounds towards zero: any 16-bit numbers will do for weights that are made up.
function numberToHalf(value) {
  if (value === 0) return 0;
  const sign = value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const exponent = Math.floor(Math.log2(magnitude));
  if (exponent < -14) return sign | Math.trunc(magnitude * 2 ** 24);
  return sign | ((exponent + 15) << 10) | Math.trunc((magnitude / 2 ** exponent - 1) * 1024);
}

function encode(dtype, numbers) {
  const view = new DataView(new ArrayBuffer(numbers.length * kSizes[dtype]));
  numbers.forEach((value, i) => {
    if (dtype === 'F32') view.setFloat32(i * 4, value, true);
    if (dtype === 'F16') view.setUint16(i * 2, numberToHalf(value), true);
    if (dtype === 'BF16') view.setUint16(i * 2, bits(value) >>> 16, true);
  });
  return Buffer.from(view.buffer);
}

export function bfloatToNumber(bfloat) {
  scratch.setUint32(0, bfloat << 16);
  return scratch.getFloat32(0);
}

export function writeSafetensors(tensors) {
  const head = { __metadata__: { format: 'pt' } };
  const pieces = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const bytes = encode(dtype, data);
    head[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    pieces.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(head));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, ...pieces]);
}

export function readSafetensors(file) {
  const size = Number(file.readBigUInt64LE(0));
  const head = JSON.parse(file.subarray(8, 8 + size).toString());
  const tensors = {};
  for (const [name, entry] of Object.entries(head)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: [from, to] } = entry;
    const bytes = file.subarray(8 + size + from, 8 + size + to);
    const count = bytes.length / kSizes[dtype];
    const data = new Float32Array(count);
    for (let i = 0; i < count; ++i) {
      if (dtype === 'F32') data[i] = bytes.readFloatLE(i * 4);
      if (dtype === 'F16') data[i] = halfToNumber(bytes.readUInt16LE(i * 2));
      if (dtype === 'BF16') data[i] = bfloatToNumber(bytes.readUInt16LE(i * 2));
    }
    tensors[name] = { dtype, shape, data };
  }
  return tensors;
}
