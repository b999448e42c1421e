// For llhttp_test.mjs: reads streams of requests with our parsers, and prints what they hold.
//
// Input, repeated: a decimal length, a line feed, so many bytes. Output, a line for each: the whole
// messages in front of the first refusal, separated by blanks, each END:METHOD:TARGET:BODY: where
// it ends in the stream, and the rest in hexadecimal.
#include <iostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "http/chunked.h"
#include "http/head.h"
#include "http/head_scanner.h"

namespace penstock::http {
namespace {

// llhttp knows a closed list of methods; ours is open, and the handler's business.
const std::set<std::string_view> kMethods = {"GET", "OPTIONS", "POST", "PUT"};

std::string Hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

// Takes the body from the front of `bytes`; false where it is malformed or not whole.
bool TakeBody(const RequestHead& head, std::string_view& bytes, std::string& body) {
  if (head.body == BodyKind::kLength) {
    if (bytes.size() < head.content_length) return false;
    body = bytes.substr(0, head.content_length);
    bytes.remove_prefix(body.size());
  } else if (head.body == BodyKind::kChunked) {
    ChunkedDecoder decoder;
    std::vector<std::string_view> pieces;
    const auto taken = decoder.Decode(bytes, {}, pieces);
    if (!taken || !decoder.ended()) return false;
    for (const std::string_view piece : pieces) body += piece;
    bytes.remove_prefix(*taken);
  }
  return true;
}

std::string Read(std::string_view bytes) {
  std::string line;
  const std::size_t whole = bytes.size();
  for (;;) {
    if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);  // As the server does.
    HeadScanner scanner;
    RequestHead head;
    const auto end = scanner.Scan(bytes, {});
    if (!end || *end == 0 || !ParseRequestHead(bytes.substr(0, *end), {}, head)) return line;
    if (!kMethods.contains(head.method)) return line;
    bytes.remove_prefix(*end);
    std::string body;
    if (!TakeBody(head, bytes, body)) return line;
    line += std::to_string(whole - bytes.size()) + ":" + Hex(head.method) + ":" + Hex(head.target) +
            ":" + Hex(body) + " ";
    if (!head.keep_alive) return line;
  }
}

}  // namespace
}  // namespace penstock::http

int main() {
  std::string length;
  while (std::getline(std::cin, length)) {
    std::string bytes(std::stoul(length), '\0');
    std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    std::cout << penstock::http::Read(bytes) << "\n";
  }
  return 0;
}
