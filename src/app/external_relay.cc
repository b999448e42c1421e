#include "app/external_relay.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "api/padded_view.h"
#include "api/peek.h"
#include "base/file.h"
#include "base/log.h"
#include "io/address.h"
#include "io/tls.h"

namespace penstock::app {
namespace {

constexpr std::string_view kFace = "/v1";
constexpr std::size_t kHealthAnswerMax = std::size_t{4} << 20;
constexpr std::size_t kKeyMax = 16 * 1024;

bool IsRefusedKey(int status) { return status == 401 || status == 403; }

Result<std::string> ReadKey(const std::string& path) {
  if (path.empty()) return std::string();
  auto key = ReadSmallFile(path, kKeyMax);
  if (!key) return Fail(Code::kInvalidArgument, "--key-file: " + key.error().message, "--key-file");
  while (!key->empty() && (key->back() == '\n' || key->back() == '\r')) key->pop_back();
  if (key->find_first_of("\r\n") != std::string::npos) {
    return Fail(Code::kInvalidArgument, "--key-file: a key is one line", "--key-file");
  }
  return key;
}

Result<http::Origin> OriginOf(const http::Url& base, const std::string& ca_file) {
  http::Origin origin;
  if (base.scheme == http::Url::Scheme::kUnix) {
    return http::Origin::From(base);
  }
  auto address = io::ResolveBlocking(base.host, base.port);
  if (!address) return Fail(Code::kUnavailable, "--upstream: " + address.error().message);
  origin.address = std::move(*address);
  origin.host = base.HostField();
  if (base.scheme != http::Url::Scheme::kHttps) return origin;
  auto tls = io::TlsContext::ForClient({.ca_file = ca_file, .insecure = false});
  if (!tls) return Fail(tls.error());
  origin.connect.tls = std::move(*tls);
  origin.connect.tls_server_name = base.host;
  return origin;
}

}  // namespace

Result<std::unique_ptr<ExternalRelay>> ExternalRelay::Open(io::Loop& loop,
                                                           ExternalRelaySettings settings) {
  auto base = http::Url::Parse(settings.upstream);
  if (!base) {
    return Fail(Code::kInvalidArgument, "--upstream: " + base.error().message, "--upstream");
  }
  while (base->path.ends_with('/')) base->path.pop_back();
  auto key = ReadKey(settings.key_file);
  if (!key) return Fail(key.error());
  auto origin = OriginOf(*base, settings.ca_file);
  if (!origin) return Fail(origin.error());
  return std::unique_ptr<ExternalRelay>(new ExternalRelay(
      loop, std::move(settings), std::move(*base), std::move(*origin), std::move(*key)));
}

std::string ExternalRelay::TargetOf(std::string_view path) const {
  std::string target = base_.path + std::string(path);
  if (!base_.query.empty()) target += "?" + base_.query;
  return target;
}

std::vector<http::Field> ExternalRelay::Fields() const {
  std::vector<http::Field> fields;
  const std::string_view header =
      settings_.key_header.empty() ? std::string_view("authorization") : settings_.key_header;
  if (!key_.empty()) fields.push_back({header, key_});
  if (!settings_.organization.empty()) {
    fields.push_back({"openai-organization", settings_.organization});
  }
  return fields;
}

io::Task<void> ExternalRelay::Handle(http::Exchange& exchange) {
  const std::string path(exchange.head().path);
  if (path == "/health") {
    co_await Health(exchange);
    co_return;
  }
  if (exchange.head().method == "POST" && path.starts_with(kFace)) {
    co_await Forward(exchange, path.substr(kFace.size()));
    co_return;
  }
  (void)co_await exchange.RespondError({Code::kNotFound, "no such path", {}});
}

io::Task<void> ExternalRelay::Health(http::Exchange& exchange) {
  if (loop_.Now() >= good_until_) {
    const Status asked = co_await Ask();
    if (!asked) {
      Log().warn("relay: {}", asked.error().message);
      (void)co_await exchange.RespondError({Code::kUnavailable, asked.error().message, {}});
      co_return;
    }
    good_until_ = loop_.Now() + settings_.health_kept;
  }
  (void)co_await exchange.Respond(200, "application/json", R"({"status":"ok"})");
}

// The list of models: every such server has it, and it costs nothing. One that has none is there.
io::Task<Status> ExternalRelay::Ask() {
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.health_wait_max);
  const std::string target = TargetOf("/models");
  const std::vector<http::Field> fields = Fields();
  auto response = co_await client_.Send(origin_, {.target = target, .fields = fields}, deadline);
  if (!response) {
    co_return Fail(Code::kUnavailable,
                   fmt::format("{}: {}", settings_.upstream, response.error().message));
  }
  const int status = (*response)->status();
  (void)co_await (*response)->ReadAll(kHealthAnswerMax, deadline);
  if (IsRefusedKey(status)) {
    co_return Fail(Code::kUpstream, fmt::format("{} refuses the key of this model ({})",
                                                settings_.upstream, status));
  }
  if (status >= 500) {
    co_return Fail(Code::kUpstream, fmt::format("{} answers {}", settings_.upstream, status));
  }
  co_return Status();
}

io::Task<void> ExternalRelay::Forward(http::Exchange& exchange, std::string path) {
  const auto body = co_await exchange.ReadBody();
  if (!body) {
    (void)co_await exchange.RespondError(body.error());
    co_return;
  }
  const auto peek = PeekRequest(PaddedView::Unsafe(*body));
  if (!peek) {
    (void)co_await exchange.RespondError(peek.error());
    co_return;
  }
  const std::string asked = WithModel(*body, *peek, settings_.model);
  const std::string target = TargetOf(path);
  const std::string id(exchange.head().fields.Get("x-request-id"));
  std::vector<http::Field> fields = Fields();
  if (!id.empty()) fields.push_back({"x-request-id", id});
  exchange.CancelWhenPeerGone();
  auto response = co_await client_.Send(origin_,
                                        {.method = "POST",
                                         .target = target,
                                         .content_type = "application/json",
                                         .body = asked,
                                         .fields = fields},
                                        Deadline::After(loop_.Now(), settings_.answer_wait_max));
  if (!response) {
    if (response.error().code == Code::kCancelled) co_return;
    Log().warn("relay: {}: {}", settings_.upstream, response.error().message);
    (void)co_await exchange.RespondError(
        {Code::kUnavailable, "the external server: " + response.error().message, {}});
    co_return;
  }
  co_await PassOn(exchange, **response);
}

io::Task<void> ExternalRelay::PassOn(http::Exchange& exchange, http::ClientResponse& response) {
  const int status = response.status();
  const std::string type(response.head().fields.Get("content-type"));
  if (IsRefusedKey(status)) {
    // Its own words may quote the key.
    Log().warn("relay: {} refuses the key of this model ({})", settings_.upstream, status);
    (void)co_await exchange.RespondError(
        {Code::kUpstream,
         fmt::format("the external server refuses the key of this model ({})", status),
         {}});
    co_return;
  }
  if (type.starts_with("text/event-stream")) {
    co_await PassStream(exchange, response);
    co_return;
  }
  const std::string again(response.head().fields.Get("retry-after"));
  const auto answer = co_await response.ReadAll(
      kRelayAnswerMax, Deadline::After(loop_.Now(), settings_.answer_wait_max));
  if (!answer) {
    (void)co_await exchange.RespondError(answer.error());
    co_return;
  }
  if (status < 500) good_until_ = loop_.Now() + settings_.health_kept;
  std::vector<http::Field> fields;
  if (!again.empty()) fields.push_back({"retry-after", again});
  (void)co_await exchange.Respond(status, type, *answer, fields);
}

io::Task<void> ExternalRelay::PassStream(http::Exchange& exchange, http::ClientResponse& response) {
  exchange.StartStream(response.status(), "text/event-stream");
  std::string piece;
  for (;;) {
    const auto next =
        co_await response.Next(Deadline::After(loop_.Now(), settings_.answer_wait_max));
    if (!next) co_return;  // The cut tells the gateway that the answer is not whole.
    piece.clear();
    for (const std::string_view bytes : next->payload) piece += bytes;
    if (next->ended) break;
    if (piece.empty()) continue;
    if (const Status sent = co_await exchange.WriteChunk(piece); !sent) co_return;
  }
  good_until_ = loop_.Now() + settings_.health_kept;
  (void)co_await exchange.Finish(piece);
}

}  // namespace penstock::app
