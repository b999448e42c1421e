#include "hub/fetch.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "http/client.h"
#include "http/url.h"
#include "io/address.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"
#include "io/tls.h"

namespace penstock::hub {
namespace {

constexpr int kGood = 200;
constexpr int kPartial = 206;

// Where to connect; name resolution blocks.
Result<http::Origin> Resolve(const http::Url& url, bool insecure) {
  http::Url numeric = url;
  if (url.scheme != http::Url::Scheme::kUnix) {
    const auto address = io::ResolveBlocking(url.host, url.port);
    if (!address) return Fail(Code::kUnavailable, address.error().message, "hub");
    numeric.host = address->host;
  }
  auto origin = http::Origin::From(numeric);
  if (!origin) return Fail(origin.error());
  origin->host = url.HostField();
  if (url.scheme == http::Url::Scheme::kHttps) {
    auto tls = io::TlsContext::ForClient({.ca_file = "", .insecure = insecure});
    if (!tls) return Fail(tls.error());
    origin->connect.tls = std::move(*tls);
    origin->connect.tls_server_name = url.host;
  }
  return origin;
}

// A redirect's target, which may be a path only.
Result<http::Url> Follow(const http::Url& from, std::string_view location) {
  if (!location.starts_with('/')) return http::Url::Parse(location);
  http::Url to = from;
  const auto mark = location.find('?');
  to.path = location.substr(0, mark);
  to.query = mark == std::string_view::npos ? "" : location.substr(mark + 1);
  return to;
}

Error ErrorOf(int status, const http::Url& url) {
  const std::string where = fmt::format("{}{}", url.HostField(), url.path);
  if (status == 401 || status == 403) {
    return {
        CodeOfHttpStatus(status),
        fmt::format("{} answered {}: the repository needs a token that may read it", where, status),
        "token"};
  }
  if (status == 404) return {Code::kNotFound, fmt::format("{} does not exist", where), "source"};
  return {CodeOfHttpStatus(status), fmt::format("{} answered {}", where, status), {}};
}

struct State {
  const FetchOptions& options;
  http::Url url;
  bool send_token = true;
  std::optional<std::string> location;  // Of a redirect.
  Status result;
};

io::Task<Status> ReadBody(io::Loop& loop, http::ClientResponse& response, State& state) {
  for (;;) {
    auto piece = co_await response.Next(Deadline::After(loop.Now(), state.options.stall_max));
    if (!piece) co_return Fail(piece.error());
    for (const std::string_view bytes : piece->payload) {
      if (bytes.empty()) continue;
      if (auto taken = state.options.on_bytes(bytes); !taken) co_return taken;
    }
    if (piece->ended) co_return Status();
  }
}

io::Task<Status> Exchange(io::Loop& loop, State& state) {
  const auto origin = Resolve(state.url, state.options.insecure);
  if (!origin) co_return Fail(origin.error());
  http::Client client(loop, {.user_agent = "penstock"});
  const std::string authorization = "Bearer " + state.options.token;
  const std::string range = fmt::format("bytes={}-", state.options.from);
  std::vector<http::Field> fields;
  if (state.send_token && !state.options.token.empty()) {
    fields.push_back({"authorization", authorization});
  }
  if (state.options.from > 0) fields.push_back({"range", range});
  const std::string target = state.url.Target();
  auto response = co_await client.Send(*origin, {.target = target, .fields = fields},
                                       Deadline::After(loop.Now(), state.options.stall_max));
  if (!response) co_return Fail(response.error());
  const int status = (*response)->status();
  if (status >= 300 && status < 400) {
    state.location = std::string((*response)->head().fields.Get("location"));
    co_return Status();
  }
  if (status != kGood && status != kPartial) co_return Fail(ErrorOf(status, state.url));
  if (auto begun = state.options.on_start(status == kPartial); !begun) co_return begun;
  co_return co_await ReadBody(loop, **response, state);
}

io::Task<void> Run(io::Loop& loop, State& state) { state.result = co_await Exchange(loop, state); }

}  // namespace

Status Fetch(const FetchOptions& options) {
  auto url = http::Url::Parse(options.url);
  if (!url) return Fail(url.error());
  State state{.options = options, .url = std::move(*url), .location = {}, .result = {}};
  const std::string first_host = state.url.HostField();
  for (int redirects = 0; redirects <= kRedirectsMax; ++redirects) {
    io::EpollLoop loop;
    state.location.reset();
    io::RunBlocking(loop, Run(loop, state));
    if (!state.result || !state.location) return state.result;
    auto next = Follow(state.url, *state.location);
    if (!next) return Fail(Code::kUpstream, "the hub redirects to nowhere");
    // Never from a protected connection to an open one.
    if (state.url.scheme == http::Url::Scheme::kHttps &&
        next->scheme != http::Url::Scheme::kHttps) {
      return Fail(Code::kUpstream, "the hub redirects to a connection without TLS");
    }
    state.url = std::move(*next);
    state.send_token = state.send_token && state.url.HostField() == first_host;
  }
  return Fail(Code::kUpstream, fmt::format("the hub redirects more than {} times", kRedirectsMax));
}

}  // namespace penstock::hub
