// For tests: a self-signed certificate and its key, in files that last as long as the object.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace penstock::io::testing {

class TestCertificate {
 public:
  // `names`: the certificate's subjectAltName, such as "DNS:example.test,IP:127.0.0.1".
  explicit TestCertificate(const std::string& names) {
    static int number = 0;
    const std::string stem = ::testing::TempDir() + "penstock-tls-" + std::to_string(getpid()) +
                             "-" + std::to_string(++number);
    certificate_file_ = stem + ".crt";
    key_file_ = stem + ".key";
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                  &EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), number);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("penstock test"), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), subject);
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()),
        &X509_EXTENSION_free);
    X509_add_ext(certificate.get(), extension.get(), -1);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    Save(certificate_file_,
         [&](std::FILE* file) { return PEM_write_X509(file, certificate.get()); });
    Save(key_file_, [&](std::FILE* file) {
      return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  ~TestCertificate() {
    std::filesystem::remove(certificate_file_);
    std::filesystem::remove(key_file_);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  const std::string& certificate_file() const { return certificate_file_; }
  const std::string& key_file() const { return key_file_; }

 private:
  template <typename Write>
  static void Save(const std::string& path, Write write) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"),
                                                               &std::fclose);
    if (!file || write(file.get()) != 1) throw std::runtime_error("cannot write " + path);
  }

  std::string certificate_file_;
  std::string key_file_;
};

}  // namespace penstock::io::testing
