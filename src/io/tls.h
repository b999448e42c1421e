// TlsContext: certificates, keys and trust for the TLS connections of one listener or client.
//
// TLS 1.2 and 1.3, ALPN http/1.1. Immutable once made: loops on several threads may share one.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX.

namespace penstock::io {

struct TlsTrust {
  std::string ca_file = {};  // PEM certificates to trust; "" means those of the system.
  bool insecure = false;     // Trust whoever answers: for tests and closed networks.
};

class TlsContext {
 public:
  // `certificate_file`: PEM, the server's own certificate first, then its chain. `key_file`: PEM,
  // not encrypted. Errors: kInvalidArgument, naming the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> ForServer(const std::string& certificate_file,
                                                             const std::string& key_file);
  // Errors: kInvalidArgument, naming the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> ForClient(const TlsTrust& trust);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }
  bool is_server() const { return is_server_; }
  // The peer's certificate and name are checked.
  bool verifies() const { return verifies_; }

 private:
  TlsContext(ssl_ctx_st* context, bool is_server, bool verifies)
      : context_(context), is_server_(is_server), verifies_(verifies) {}

  ssl_ctx_st* context_;  // Owned.
  bool is_server_;
  bool verifies_;
};

}  // namespace penstock::io
