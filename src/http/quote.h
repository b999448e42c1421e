// Quote: foreign bytes in a message for people: short, printable, in quotation marks.
#pragma once

#include <string>
#include <string_view>

namespace penstock::http {

// At most 64 bytes of `text`; whatever is not printable ASCII as \xNN.
std::string Quote(std::string_view text);

// Appends `text` as the inside of a JSON string. Bytes that are not ASCII are sent as '?', since
// nobody vouches for their encoding.
void AppendJsonEscaped(std::string_view text, std::string& to);

}  // namespace penstock::http
