// Utf8Stream: turns a stream of bytes, cut anywhere, into whole UTF-8 characters.
//
// Bytes that no character can begin with, or that break one off, become U+FFFD, one for each
// maximal broken part (as the Encoding Standard does). Whatever the cuts, the text is the same.
#pragma once

#include <string>
#include <string_view>

namespace penstock::engine {

class Utf8Stream {
 public:
  // Appends to `out` the characters that are complete; an unfinished one waits for its rest.
  void Feed(std::string_view bytes, std::string& out);

  // The stream ended: an unfinished character becomes U+FFFD.
  void Flush(std::string& out);

  // Whether these bytes would break no character: all are whole, but perhaps the last one.
  bool Fits(std::string_view bytes) const;

 private:
  std::string pending_;  // At most 3 bytes: a correct beginning of a character.
};

}  // namespace penstock::engine
