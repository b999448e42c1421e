// Differential test: whatever our parser accepts, a second reader, written here straight from RFC
// 9112 and knowing nothing of the first, accepts too, and finds the same framing; and so does a
// third, Boost.Beast's.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "http/head.h"
#include "http/head_beast.h"
#include "http/head_scanner.h"

namespace penstock::http {
namespace {

struct Reading {
  std::string method;
  std::string target;
  int minor = 1;
  std::vector<std::pair<std::string, std::string>> fields;
  bool chunked = false;
  unsigned long long length = 0;
};

bool Tchar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool Token(std::string_view text) {
  for (const char c : text) {
    if (!Tchar(c)) return false;
  }
  return !text.empty();
}

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char c : text) {
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

// The line up to CRLF, which is dropped; nullopt if there is none, or a lone CR or LF before it.
std::optional<std::string_view> TakeLine(std::string_view& bytes) {
  const std::size_t end = bytes.find_first_of("\r\n");
  if (end == std::string_view::npos || bytes.substr(end, 2) != "\r\n") return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

bool ReadRequestLine(std::string_view line, Reading& reading) {
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return false;
  reading.method = line.substr(0, first);
  reading.target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  reading.minor = version.back() - '0';
  for (const char c : reading.target) {
    if (c <= 0x20 || c == 0x7f) return false;
  }
  return Token(reading.method) && !reading.target.empty();
}

bool ReadField(std::string_view line, Reading& reading) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !Token(line.substr(0, colon))) return false;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  }
  reading.fields.emplace_back(Lower(line.substr(0, colon)), value);
  return true;
}

bool ReadFraming(Reading& reading) {
  int lengths = 0;
  int codings = 0;
  int hosts = 0;
  for (const auto& [name, value] : reading.fields) {
    if (name == "host") ++hosts;
    if (name == "content-length") {
      ++lengths;
      if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos) return false;
      reading.length = std::stoull(value);
    }
    if (name == "transfer-encoding") {
      ++codings;
      if (Lower(value) != "chunked") return false;
      reading.chunked = true;
    }
  }
  if (lengths + codings > 1 || hosts > 1) return false;
  return reading.minor == 1 ? hosts == 1 : codings == 0;
}

std::optional<Reading> ReadByTheBook(std::string_view bytes) {
  Reading reading;
  const auto first = TakeLine(bytes);
  if (!first || !ReadRequestLine(*first, reading)) return std::nullopt;
  for (;;) {
    const auto line = TakeLine(bytes);
    if (!line) return std::nullopt;
    if (line->empty()) break;
    if (!ReadField(*line, reading)) return std::nullopt;
  }
  if (!bytes.empty() || !ReadFraming(reading)) return std::nullopt;
  return reading;
}

std::string Pick(Random& random, std::initializer_list<const char*> choices) {
  return *(choices.begin() + random.Below(choices.size()));
}

// A request of the kind that smugglers send: nearly right.
std::string MakeRequest(Random& random) {
  std::string bytes = Pick(random, {"GET", "POST", "POST", "PUT", "PO ST", "P@", "OPTIONS", ""}) +
                      Pick(random, {" ", " ", " ", " ", " ", " ", "  ", "\t"}) +
                      Pick(random, {"/", "/", "/", "/a?b", "http://h/x", "*", "/\x80", "x", ""}) +
                      Pick(random, {" ", " ", " ", "  "}) +
                      Pick(random, {"HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1"}) +
                      Pick(random, {"\r\n", "\r\n", "\r\n", "\n", "\r", " \r\n"});
  if (random.Below(8) != 0) bytes += "Host: h\r\n";
  for (std::uint64_t fields = random.Below(4); fields > 0; --fields) {
    bytes += Pick(random, {"Content-Length", "Transfer-Encoding", "Host", "X", "X ", " X", "",
                           "content-length", "TRANSFER-ENCODING", "Connection", "Expect"}) +
             Pick(random, {":", ":", ": ", ":\t", " :", ""}) +
             Pick(random, {"5",
                           "05",
                           "+5",
                           "5,5",
                           "5 5",
                           "chunked",
                           "Chunked",
                           "chunked, gzip",
                           "xchunked",
                           "h",
                           "a\x01",
                           "a\tb",
                           "100-continue",
                           "close",
                           "",
                           " ",
                           "\xff",
                           "18446744073709551617",
                           "a\rb",
                           "\x7f"}) +
             Pick(random, {"\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", " \r\n", "\r\n "});
  }
  bytes += "\r\n";
  if (random.Below(10) == 0) bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
  return bytes;
}

TEST(HeadReference, AcceptsWhateverWeAcceptAndFramesItTheSame) {
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 30'000 && !HasFailure(); ++seed) {
    Random random(seed);
    const std::string bytes = MakeRequest(random);
    SCOPED_TRACE(::testing::Message() << "seed=" << seed << "\n" << bytes);
    RequestHead head;
    HeadScanner scanner;
    const auto end = scanner.Scan(bytes, {});
    if (!end || *end != bytes.size() || !ParseRequestHead(bytes, {}, head)) continue;
    ++accepted;
    const auto reading = ReadByTheBook(bytes);
    ASSERT_TRUE(reading);
    EXPECT_EQ(head.method, reading->method);
    EXPECT_EQ(head.target, reading->target);
    EXPECT_EQ(head.minor_version, reading->minor);
    EXPECT_EQ(head.body == BodyKind::kChunked, reading->chunked);
    EXPECT_EQ(head.content_length, reading->length);
    ASSERT_EQ(head.fields.size(), reading->fields.size());
    for (std::size_t i = 0; i < reading->fields.size(); ++i) {
      const Field& field = *(head.fields.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_EQ(Lower(field.name), reading->fields[i].first);
      EXPECT_EQ(field.value, reading->fields[i].second);
    }
  }
  EXPECT_GT(accepted, 250);
}

// What Beast refuses, we refuse; what both accept, both read alike.
TEST(HeadReference, AgreesWithBeast) {
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 30'000 && !HasFailure(); ++seed) {
    Random random(seed);
    const std::string bytes = MakeRequest(random);
    SCOPED_TRACE(::testing::Message() << "seed=" << seed << "\n" << bytes);
    RequestHead ours;
    if (!ParseRequestHead(bytes, {}, ours)) continue;
    ++accepted;
    RequestHead theirs;
    if (!ReadByBeast(bytes, theirs)) {
      // Beast judges the list in this field, too, where we look for two words in it.
      ASSERT_TRUE(ours.fields.Find("connection"));
      continue;
    }
    EXPECT_EQ(ours.method, theirs.method);
    EXPECT_EQ(ours.target, theirs.target);
    EXPECT_EQ(ours.minor_version, theirs.minor_version);
    ASSERT_EQ(ours.fields.size(), theirs.fields.size());
    for (auto our = ours.fields.begin(), their = theirs.fields.begin(); our != ours.fields.end();
         ++our, ++their) {
      EXPECT_EQ(our->name, their->name);
      EXPECT_EQ(our->value, their->value);
    }
  }
  EXPECT_GT(accepted, 250);
}

}  // namespace
}  // namespace penstock::http
