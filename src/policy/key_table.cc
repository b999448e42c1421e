#include "policy/key_table.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>
#include <memory>

#include "base/check.h"

namespace penstock::policy {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};

// Fetching an algorithm costs more than the hash itself: once for the process.
const EVP_MD* Sha256() {
  static const std::unique_ptr<EVP_MD, FreeDigest> digest(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  CHECK(digest != nullptr, "OpenSSL has no SHA-256");
  return digest.get();
}

}  // namespace

std::string_view RoleName(Role role) { return role == Role::kAdmin ? "admin" : "user"; }

Result<Role> ParseRole(std::string_view name) {
  if (name == "admin") return Role::kAdmin;
  if (name == "user") return Role::kUser;
  return Fail(Code::kInvalidArgument,
              fmt::format("role must be \"admin\" or \"user\", got \"{}\"", name), "role");
}

KeyHash HashSecret(std::string_view secret) {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  KeyHash hash{};
  unsigned int size = 0;
  const bool good = context != nullptr &&
                    EVP_DigestInit_ex2(context.get(), Sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), secret.data(), secret.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), hash.data(), &size) == 1;
  CHECK(good && size == hash.size(), "SHA-256 failed");
  return hash;
}

std::string Hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string RandomHex(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  CHECK(RAND_bytes(bytes.data(), static_cast<int>(size)) == 1, "the system has no random bytes");
  return Hex(bytes);
}

std::string NewSecret() { return "psk_" + RandomHex(32); }

KeyTable::KeyTable(std::vector<Key> keys) {
  for (Key& key : keys) {
    const KeyHash hash = key.hash;
    keys_.insert_or_assign(hash, std::move(key));
  }
}

const Key* KeyTable::Find(std::string_view secret) const {
  const auto found = keys_.find(HashSecret(secret));
  return found == keys_.end() ? nullptr : &found->second;
}

std::size_t KeyTable::Hash::operator()(const KeyHash& hash) const {
  std::size_t first = 0;
  std::memcpy(&first, hash.data(), sizeof first);
  return first;
}

bool KeyTable::EqualInConstantTime::operator()(const KeyHash& left, const KeyHash& right) const {
  return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace penstock::policy
