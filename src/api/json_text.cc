// Escapes eight bytes at a time while nothing needs escaping, which is nearly always.
#include "api/json_text.h"

#include <simdjson.h>

#include <array>
#include <bit>
#include <cstring>

namespace penstock {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kHighBits = 0x8080808080808080u;

// High bit set in (at least) the lowest byte of `word` that is zero; none set if there is no zero.
constexpr std::uint64_t ZeroBytes(std::uint64_t word) { return (word - kOnes) & ~word & kHighBits; }

// Marks bytes that cannot be copied as they are, and those outside ASCII.
constexpr std::uint64_t SpecialBytes(std::uint64_t word) {
  const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHighBits;
  return control | ZeroBytes(word ^ (kOnes * '"')) | ZeroBytes(word ^ (kOnes * '\\')) |
         (word & kHighBits);
}

bool IsSpecial(unsigned char byte) {
  return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80;
}

// Bytes at the start of `text` that are plain ASCII and need no escape.
std::size_t PlainPrefix(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (SpecialBytes(word) != 0) break;
  }
  while (i < text.size() && !IsSpecial(static_cast<unsigned char>(text[i]))) ++i;
  return i;
}

void AppendEscape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    case '\b':
      out.append("\\b");
      return;
    case '\f':
      out.append("\\f");
      return;
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
  out.append(escape, sizeof escape);
}

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none (Unicode,
// table 3-7).
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// `valid`: the whole text is known to be UTF-8.
void AppendSpecial(std::string& out, std::string_view text, bool valid, std::size_t* taken) {
  const auto lead = static_cast<unsigned char>(text[0]);
  *taken = 1;
  if (lead < 0x80) {
    AppendEscape(out, lead);
    return;
  }
  if (valid) {  // A run of bytes outside ASCII needs no look.
    while (*taken < text.size() && static_cast<unsigned char>(text[*taken]) >= 0x80) ++*taken;
    out.append(text.substr(0, *taken));
    return;
  }
  const std::size_t length = SequenceLength(text);
  if (length == 0) {
    out.append("\xEF\xBF\xBD");
    return;
  }
  out.append(text.substr(0, length));
  *taken = length;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> MakeBase64Values() {
  std::array<std::int8_t, 256> values;
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    values[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}

}  // namespace

void AppendJsonEscaped(std::string& out, std::string_view text) {
  std::size_t plain = PlainPrefix(text);
  out.append(text.substr(0, plain));
  if (plain == text.size()) return;
  text.remove_prefix(plain);
  const bool valid = simdjson::validate_utf8(text);
  while (!text.empty()) {
    std::size_t taken = 0;
    AppendSpecial(out, text, valid, &taken);
    text.remove_prefix(taken);
    plain = PlainPrefix(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
  }
}

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  AppendJsonEscaped(out, text);
  out.push_back('"');
}

void AppendBase64(std::string& out, std::span<const std::uint8_t> bytes) {
  const std::size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data() + start;
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16 |
                                static_cast<std::uint32_t>(bytes[i + 1]) << 8 | bytes[i + 2];
    *to++ = kBase64[group >> 18];
    *to++ = kBase64[group >> 12 & 63];
    *to++ = kBase64[group >> 6 & 63];
    *to++ = kBase64[group & 63];
  }
  const std::size_t rest = bytes.size() - i;
  if (rest == 0) return;
  const std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16 |
                              (rest == 2 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8 : 0);
  *to++ = kBase64[group >> 18];
  *to++ = kBase64[group >> 12 & 63];
  if (rest == 2) *to = kBase64[group >> 6 & 63];
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  static constexpr std::array<std::int8_t, 256> kValues = MakeBase64Values();
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  int bits = 0;
  for (const char symbol : text) {
    const int value = kValues[static_cast<unsigned char>(symbol)];
    if (value < 0) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>(group >> bits & 0xFF));
    }
  }
  if ((group & ((1u << bits) - 1)) != 0) return std::nullopt;  // Bits that no encoder writes.
  return bytes;
}

}  // namespace penstock
