#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

namespace penstock::io {

namespace {

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

constexpr std::array<unsigned char, 9> kProtocols{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// The oldest error is the cause; the later ones say who passed it on.
std::string WhatFailed() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown TLS error" : reason;
}

std::unexpected<Error> BadFile(std::string_view what, const std::string& file,
                               std::string_view why) {
  return Fail(Code::kInvalidArgument, fmt::format("TLS {} file '{}': {}", what, file, why));
}

Status CheckReadable(std::string_view what, const std::string& file) {
  errno = 0;
  const std::ifstream stream(file);
  if (!stream) return BadFile(what, file, std::strerror(errno));
  return {};
}

// OpenSSL would ask the terminal.
int RefuseToAskForPassword(char*, int, int, void*) { return 0; }

// A client that names protocols must name ours; one that names none is taken to mean it.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  const int outcome = SSL_select_next_proto(&found, chosen_size, kProtocols.data(),
                                            kProtocols.size(), offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<Context> MakeContext(const SSL_METHOD* method) {
  Context context(SSL_CTX_new(method), &SSL_CTX_free);
  if (!context) return Fail(Code::kInternal, "cannot make a TLS context: " + WhatFailed());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A write that was cut short goes on from our own copy of the bytes, at another address. Idle
  // connections give their buffers back. Reading ahead saves a receive per record.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_passwd_cb(context.get(), &RefuseToAskForPassword);
  return context;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::ForServer(const std::string& certificate_file,
                                                                const std::string& key_file) {
  if (Status found = CheckReadable("certificate", certificate_file); !found)
    return Fail(found.error());
  if (Status found = CheckReadable("key", key_file); !found) return Fail(found.error());
  Result<Context> context = MakeContext(TLS_server_method());
  if (!context) return Fail(context.error());
  SSL_CTX* raw = context->get();
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(raw, certificate_file.c_str()) != 1) {
    return BadFile("certificate", certificate_file, "no PEM certificate: " + WhatFailed());
  }
  // This also finds a key that does not belong to the certificate.
  if (SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(raw) != 1) {
    return BadFile("key", key_file,
                   fmt::format("no unencrypted PEM key for the certificate '{}': {}",
                               certificate_file, WhatFailed()));
  }
  SSL_CTX_set_alpn_select_cb(raw, &ChooseProtocol, nullptr);
  // No resumption: a ticket would be bytes that nobody asked for on an idle connection.
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  return std::shared_ptr<const TlsContext>(new TlsContext(context->release(), true, false));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::ForClient(const TlsTrust& trust) {
  Result<Context> context = MakeContext(TLS_client_method());
  if (!context) return Fail(context.error());
  SSL_CTX* raw = context->get();
  ERR_clear_error();
  SSL_CTX_set_verify(raw, trust.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!trust.ca_file.empty()) {
    if (Status found = CheckReadable("CA", trust.ca_file); !found) return Fail(found.error());
    if (SSL_CTX_load_verify_file(raw, trust.ca_file.c_str()) != 1) {
      return BadFile("CA", trust.ca_file, "no PEM certificate: " + WhatFailed());
    }
  } else if (!trust.insecure && SSL_CTX_set_default_verify_paths(raw) != 1) {
    return Fail(Code::kInternal, "cannot load the system's certificates: " + WhatFailed());
  }
  if (SSL_CTX_set_alpn_protos(raw, kProtocols.data(), kProtocols.size()) != 0) {
    return Fail(Code::kInternal, "cannot set the TLS protocols: " + WhatFailed());
  }
  return std::shared_ptr<const TlsContext>(
      new TlsContext(context->release(), false, !trust.insecure));
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

}  // namespace penstock::io
