#include "bench/workload/corpus.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

namespace penstock::bench {
namespace {

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The longest prefix that is UTF-8 ends where the text goes wrong. Only ever run on bad texts.
std::size_t FirstBadByte(std::string_view text) {
  std::size_t good = 0;
  std::size_t bad = text.size();
  while (good + 1 < bad) {
    std::size_t middle = good + (bad - good) / 2;
    while (middle > good + 1 && Continues(text[middle])) --middle;
    if (middle == good + 1 && Continues(text[middle])) break;
    (simdjson::validate_utf8(text.substr(0, middle)) ? good : bad) = middle;
  }
  return good;
}

}  // namespace

Corpus Corpus::Shipped() { return Corpus("shipped", std::string(ShippedText())); }

Result<Corpus> Corpus::FromText(std::string name, std::string text) {
  if (text.size() < kCorpusBytesMin) {
    return Fail(Code::kInvalidArgument,
                fmt::format("corpus {} has {} bytes, at least {} are needed", name, text.size(),
                            kCorpusBytesMin),
                "corpus");
  }
  if (!simdjson::validate_utf8(text)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("corpus {} is not UTF-8 near byte {}", name, FirstBadByte(text)),
                "corpus");
  }
  return Corpus(std::move(name), std::move(text));
}

Result<Corpus> Corpus::FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // An empty or unreadable file sets the stream's fail bit; the size check names the former.
  if (file) text << file.rdbuf();
  if (!file) return Fail(Code::kNotFound, fmt::format("corpus {} cannot be read", path), "corpus");
  return FromText(path, std::move(text).str());
}

std::string Corpus::Cut(std::size_t offset, std::size_t bytes) const {
  std::size_t at = offset % text_.size();
  while (at > 0 && Continues(text_[at])) --at;
  std::string cut;
  cut.reserve(bytes);
  while (cut.size() < bytes) {
    const std::size_t piece = std::min(bytes - cut.size(), text_.size() - at);
    cut.append(text_, at, piece);
    at = (at + piece) % text_.size();
  }
  // `at` is where the text would go on: back to the beginning of the character it would split.
  for (std::size_t next = at; !cut.empty() && Continues(text_[next]); --next) cut.pop_back();
  return cut;
}

}  // namespace penstock::bench
