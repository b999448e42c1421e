// GgufSample: a GGUF file made by hand, right or wrong. Tests only; no engine can load it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace penstock::control {

struct GgufSample {
  std::uint32_t version = 3;
  std::uint64_t tensors = 1;
  std::string architecture = "llama";
  std::uint32_t value_type = 4;  // Of the context length; 4 is right.

  // The file: its head, the list of its tensors of 64 floats each, and their data.
  std::string Bytes() const {
    constexpr std::uint64_t kElements = 64;
    std::string bytes = Head();
    for (std::uint64_t i = 0; i < tensors; ++i) {
      PutText(bytes, "tensor." + std::to_string(i));
      Put(bytes, std::uint32_t{1});
      Put(bytes, kElements);
      Put(bytes, std::uint32_t{0});
      Put(bytes, std::uint64_t{i * kElements * sizeof(float)});
    }
    bytes.resize((bytes.size() + 31) / 32 * 32 + tensors * kElements * sizeof(float), 'w');
    return bytes;
  }

  std::string Head() const {
    std::string bytes = "GGUF";
    Put(bytes, version);
    Put(bytes, tensors);
    Put(bytes, std::uint64_t{4});
    PutText(bytes, "general.architecture");
    Put(bytes, std::uint32_t{8});
    PutText(bytes, architecture);
    PutText(bytes, "tokens");
    Put(bytes, std::uint32_t{9});  // An array of two strings.
    Put(bytes, std::uint32_t{8});
    Put(bytes, std::uint64_t{2});
    PutText(bytes, "a");
    PutText(bytes, "bc");
    PutText(bytes, "scores");
    Put(bytes, std::uint32_t{9});  // An array of two floats.
    Put(bytes, std::uint32_t{6});
    Put(bytes, std::uint64_t{2});
    Put(bytes, std::uint64_t{0});
    PutText(bytes, architecture + ".context_length");
    Put(bytes, value_type);
    Put(bytes, std::uint32_t{4096});
    return bytes;
  }

 private:
  template <typename Number>
  static void Put(std::string& bytes, Number number) {
    char raw[sizeof number];
    std::memcpy(raw, &number, sizeof number);
    bytes.append(raw, sizeof number);
  }
  static void PutText(std::string& bytes, std::string_view text) {
    Put(bytes, std::uint64_t{text.size()});
    bytes += text;
  }
};

}  // namespace penstock::control
