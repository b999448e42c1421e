// Agent identity: the TLS certificate that a secret stands for. Pure, but for the files' making.
//
// A coordinator and its agents share one secret, and no certificate has to be carried about: both
// derive the same Ed25519 key from it (scrypt), and from the key the same self-signed certificate,
// byte for byte. An agent proves with it that it knows the secret; the coordinator trusts nothing
// else, and shows the secret itself only within the connection that this has opened.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/tls.h"

namespace penstock::bench {

// A shorter secret could be guessed from the certificate, which anybody who connects is shown.
inline constexpr std::size_t kAgentKeyBytesMin = 16;
// The name that the certificate carries, wherever the agent runs.
inline constexpr std::string_view kAgentName = "penstock-agent";

struct AgentIdentity {
  std::string certificate;  // PEM.
  std::string private_key;  // PEM.
};

// Takes a tenth of a second or so, on purpose. Errors: kInvalidArgument, field "agent-key", for a
// secret of fewer than kAgentKeyBytesMin bytes.
Result<AgentIdentity> IdentityOf(std::string_view secret);

// What an agent listens with, and what a coordinator connects with: it trusts that certificate
// only. Errors: those of IdentityOf() and of TlsContext.
Result<std::shared_ptr<const io::TlsContext>> AgentServerTls(std::string_view secret);
Result<std::shared_ptr<const io::TlsContext>> AgentClientTls(std::string_view secret);

}  // namespace penstock::bench
