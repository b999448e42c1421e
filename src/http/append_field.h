// AppendField: one field's line, in one go.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

namespace penstock::http {

// Appends "name: value\r\n". The value must hold no control characters.
inline void AppendField(std::string_view name, std::string_view value, std::string& to) {
  const std::size_t start = to.size();
  const std::size_t end = start + name.size() + value.size() + 4;
  // libstdc++ 12 may tell its callee more than was asked for.
  to.resize_and_overwrite(end, [&](char* bytes, std::size_t /*size*/) {
    char* at = bytes + start;
    std::memcpy(at, name.data(), name.size());
    at += name.size();
    *at++ = ':';
    *at++ = ' ';
    std::memcpy(at, value.data(), value.size());
    at += value.size();
    *at++ = '\r';
    *at++ = '\n';
    return end;
  });
}

}  // namespace penstock::http
