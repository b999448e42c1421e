#include "hub/checksum.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/check.h"

namespace penstock::hub {

void Checksum::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Checksum::Checksum(bool sha256) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* digest = sha256 ? EVP_sha256() : EVP_sha1();
  CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), digest, nullptr) == 1,
        "OpenSSL has SHA");
}

Checksum Checksum::Sha256() { return Checksum(true); }

Checksum Checksum::GitBlob(std::int64_t size) {
  Checksum checksum(false);
  std::string head = fmt::format("blob {}", size);
  head.push_back('\0');
  checksum.Update(head);
  return checksum;
}

void Checksum::Update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "digests do not fail");
}

std::string Checksum::Hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "digests do not fail");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace penstock::hub
