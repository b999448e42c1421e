// Corpus: the text that prompts are cut from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::bench {

inline constexpr std::size_t kCorpusBytesMin = 4096;

class Corpus {
 public:
  // The text that ships with the program: English prose, about 4.5 bytes to a token.
  static Corpus Shipped();

  // Errors: kInvalidArgument where the text is not UTF-8 (with the offset of the first bad byte) or
  // shorter than kCorpusBytesMin. `name` stands in the report.
  static Result<Corpus> FromText(std::string name, std::string text);

  // Reads a file. Errors: kNotFound where it cannot be read, and those of FromText.
  static Result<Corpus> FromFile(const std::string& path);

  // `bytes` of text from `offset`, starting over at the end. Both ends move back to the nearest
  // beginning of a character, so that the result is UTF-8 of at most `bytes` bytes.
  std::string Cut(std::size_t offset, std::size_t bytes) const;

  const std::string& name() const { return name_; }
  std::size_t size() const { return text_.size(); }

 private:
  Corpus(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  std::string name_;
  std::string text_;
};

// The shipped text, built into the program from corpus.txt.
std::string_view ShippedText();

}  // namespace penstock::bench
