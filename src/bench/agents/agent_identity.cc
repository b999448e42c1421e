#include "bench/agents/agent_identity.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/file.h"

namespace penstock::bench {
namespace {

constexpr std::string_view kSalt = "penstock bench agent, 1";
constexpr std::uint64_t kScryptN = 1 << 15;  // 32 MiB: a guess costs as much.
constexpr std::uint64_t kScryptR = 8;
constexpr std::uint64_t kScryptP = 1;
constexpr std::uint64_t kScryptMemoryMax = std::uint64_t{64} << 20;
constexpr std::size_t kSeedBytes = 32;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::unexpected<Error> Failed(std::string_view what) {
  return Fail(Code::kInternal, fmt::format("agent identity: {} failed", what));
}

Result<Key> KeyOf(std::string_view secret) {
  std::array<unsigned char, kSeedBytes> seed{};
  const int derived = EVP_PBE_scrypt(
      secret.data(), secret.size(), reinterpret_cast<const unsigned char*>(kSalt.data()),
      kSalt.size(), kScryptN, kScryptR, kScryptP, kScryptMemoryMax, seed.data(), seed.size());
  if (derived != 1) return Failed("scrypt");
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
          &EVP_PKEY_free);
  if (!key) return Failed("the key");
  return key;
}

bool AddExtension(X509* certificate, int which, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, which, value);
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Nothing in it depends on when or where it was made, and Ed25519 signs without chance.
Result<Certificate> CertificateOf(EVP_PKEY* key) {
  Certificate certificate(X509_new(), &X509_free);
  X509* raw = certificate.get();
  if (raw == nullptr) return Failed("the certificate");
  const std::string name(kAgentName);
  X509_NAME* subject = X509_get_subject_name(raw);
  const bool made = X509_set_version(raw, X509_VERSION_3) == 1 &&
                    ASN1_INTEGER_set(X509_get_serialNumber(raw), 1) == 1 &&
                    ASN1_TIME_set_string(X509_getm_notBefore(raw), "20200101000000Z") == 1 &&
                    ASN1_TIME_set_string(X509_getm_notAfter(raw), "99991231235959Z") == 1 &&
                    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                               reinterpret_cast<const unsigned char*>(name.c_str()),
                                               -1, -1, 0) == 1 &&
                    X509_set_issuer_name(raw, subject) == 1 && X509_set_pubkey(raw, key) == 1 &&
                    AddExtension(raw, NID_basic_constraints, "critical,CA:TRUE") &&
                    AddExtension(raw, NID_subject_alt_name, ("DNS:" + name).c_str()) &&
                    X509_sign(raw, key, nullptr) > 0;
  if (!made) return Failed("the certificate");
  return certificate;
}

std::string TextOf(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

// A file without a name on any disk, for what only reads files.
class NamelessFile {
 public:
  static Result<NamelessFile> Of(const std::string& text) {
    NamelessFile file;
    file.descriptor_ = Descriptor(memfd_create("penstock-agent", MFD_CLOEXEC));
    if (file.descriptor_.get() < 0) return Fail(SystemError("make", "a file in memory", errno));
    const ssize_t written = ::write(file.descriptor_.get(), text.data(), text.size());
    if (written != std::ssize(text)) return Fail(SystemError("write", "a file in memory", errno));
    return file;
  }
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_.get()); }

 private:
  Descriptor descriptor_;
};

}  // namespace

Result<AgentIdentity> IdentityOf(std::string_view secret) {
  if (secret.size() < kAgentKeyBytesMin) {
    return Fail(Code::kInvalidArgument,
                fmt::format("agent-key has {} bytes, between machines it must have at least {}",
                            secret.size(), kAgentKeyBytesMin),
                "agent-key");
  }
  const auto key = KeyOf(secret);
  if (!key) return Fail(key.error());
  const auto certificate = CertificateOf(key->get());
  if (!certificate) return Fail(certificate.error());
  const Memory first(BIO_new(BIO_s_mem()), &BIO_free);
  const Memory second(BIO_new(BIO_s_mem()), &BIO_free);
  const bool written = PEM_write_bio_X509(first.get(), certificate->get()) == 1 &&
                       PEM_write_bio_PrivateKey(second.get(), key->get(), nullptr, nullptr, 0,
                                                nullptr, nullptr) == 1;
  if (!written) return Failed("PEM");
  return AgentIdentity{.certificate = TextOf(first.get()), .private_key = TextOf(second.get())};
}

Result<std::shared_ptr<const io::TlsContext>> AgentServerTls(std::string_view secret) {
  const auto identity = IdentityOf(secret);
  if (!identity) return Fail(identity.error());
  const auto certificate = NamelessFile::Of(identity->certificate);
  if (!certificate) return Fail(certificate.error());
  const auto key = NamelessFile::Of(identity->private_key);
  if (!key) return Fail(key.error());
  return io::TlsContext::ForServer(certificate->path(), key->path());
}

Result<std::shared_ptr<const io::TlsContext>> AgentClientTls(std::string_view secret) {
  const auto identity = IdentityOf(secret);
  if (!identity) return Fail(identity.error());
  const auto certificate = NamelessFile::Of(identity->certificate);
  if (!certificate) return Fail(certificate.error());
  return io::TlsContext::ForClient({.ca_file = certificate->path()});
}

}  // namespace penstock::bench
