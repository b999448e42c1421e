// Checksum: a digest over bytes as they pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace penstock::hub {

class Checksum {
 public:
  static Checksum Sha256();
  // As git names a file of `size` bytes: SHA-1 over "blob SIZE\0" and the bytes.
  static Checksum GitBlob(std::int64_t size);

  void Update(std::string_view bytes);
  std::string Hex();  // Once, at the end.

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  explicit Checksum(bool sha256);
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace penstock::hub
