// JSON and base64 text, appended to a string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters
// escaped, each sequence that is not UTF-8 replaced by U+FFFD. Everything else stays as it is.
void AppendJsonEscaped(std::string& out, std::string_view text);

// The same between quotes.
void AppendJsonString(std::string& out, std::string_view text);

// Standard alphabet, padded.
void AppendBase64(std::string& out, std::span<const std::uint8_t> bytes);

// Strict: the standard alphabet, with its padding, and nothing else. nullopt otherwise.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace penstock
