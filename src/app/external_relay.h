// ExternalRelay: one replica of an external model: what it is asked, it asks another server that
// speaks OpenAI's API, under that server's name of the model and with its key.
//
// So the gateway needs to know nothing of external models: to it this is an engine. One loop's
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "http/exchange.h"
#include "http/origin.h"
#include "http/url.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::app {

struct ExternalRelaySettings {
  std::string upstream = {};  // Base URL: https://host/v1
  std::string model = {};     // Sent in place of what the client called it.
  std::string key_file = {};  // "" sends no key.
  // Of the request, that carries the key as it is; "": authorization, as a bearer token.
  std::string key_header = {};
  std::string organization = {};                        // Sent as openai-organization; "" is not.
  std::string ca_file = {};                             // PEM; "" trusts what the system trusts.
  Duration answer_wait_max = std::chrono::minutes(10);  // Until a head; between two pieces.
  Duration health_wait_max = std::chrono::seconds(4);
  // A server that answered lately is well: health is not asked of it again and again.
  Duration health_kept = std::chrono::seconds(15);
};

inline constexpr std::size_t kRelayAnswerMax = std::size_t{64} << 20;

class ExternalRelay {
 public:
  // Resolves the host, which blocks, and reads the key. kInvalidArgument names the flag.
  static Result<std::unique_ptr<ExternalRelay>> Open(io::Loop& loop,
                                                     ExternalRelaySettings settings);

  // GET /health, POST /v1/….
  io::Task<void> Handle(http::Exchange& exchange);

 private:
  ExternalRelay(io::Loop& loop, ExternalRelaySettings settings, http::Url base, http::Origin origin,
                std::string key)
      : loop_(loop),
        settings_(std::move(settings)),
        base_(std::move(base)),
        origin_(std::move(origin)),
        key_(key.empty() || !settings_.key_header.empty() ? std::move(key)
                                                          : "Bearer " + std::move(key)),
        client_(loop, {.user_agent = "penstock"}) {}
  io::Task<void> Health(http::Exchange& exchange);
  io::Task<Status> Ask();
  io::Task<void> Forward(http::Exchange& exchange, std::string path);
  io::Task<void> PassOn(http::Exchange& exchange, http::ClientResponse& response);
  io::Task<void> PassStream(http::Exchange& exchange, http::ClientResponse& response);
  std::string TargetOf(std::string_view path) const;
  // What each request carries; borrows from this.
  std::vector<http::Field> Fields() const;

  io::Loop& loop_;
  ExternalRelaySettings settings_;
  http::Url base_;
  http::Origin origin_;
  std::string key_;  // As it is sent.
  http::Client client_;
  TimePoint good_until_{};
};

}  // namespace penstock::app
