#include "fleet/kubernetes_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/file.h"
#include "fleet/kubernetes_objects.h"
#include "io/address.h"
#include "io/task_scope.h"
#include "io/tls.h"

namespace penstock::fleet {
namespace {

constexpr const char* kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr std::size_t kTokenMax = 64 * 1024;
constexpr Duration kAskedMax = std::chrono::seconds(5);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string AccountFile(const char* name) {
  const std::string path = std::string(kAccount) + name;
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? path : "";
}

std::string UrlOfPod() {
  std::string host = Environment("KUBERNETES_SERVICE_HOST");
  if (host.empty()) return {};
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  return fmt::format("https://{}:{}", host, port.empty() ? "443" : port);
}

bool IsWorthRetrying(int status) { return status == 429 || status >= 500; }

Duration RetryAfter(const http::ResponseHead& head) {
  const std::string_view text = head.fields.Get("retry-after");
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::clamp<Duration>(std::chrono::seconds(seconds), Duration{}, kAskedMax);
}

}  // namespace

Duration ApiBackoff(int attempt, Duration asked, Random& random) {
  Duration delay = kApiBackoffMin;
  for (int i = 2; i < attempt && delay < kApiBackoffMax; ++i) delay *= 2;
  delay = std::min(delay, kApiBackoffMax);
  const auto by_chance =
      static_cast<std::int64_t>(random.Uniform() * 0.5 * static_cast<double>(delay.count()));
  return std::max(delay - Duration(by_chance), asked);
}

KubernetesApi::KubernetesApi(KubernetesAccess access, http::Url url)
    : access_(std::move(access)),
      url_(std::move(url)),
      client_(loop_, {.user_agent = "penstock"}),
      random_(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count())) {}

Result<std::unique_ptr<KubernetesApi>> KubernetesApi::Open(KubernetesAccess access) {
  const bool in_pod = access.url.empty();
  if (in_pod) access.url = UrlOfPod();
  if (access.url.empty()) {
    return Fail(Code::kInvalidArgument,
                "--fleet kubernetes needs --kubernetes-url: this is no pod "
                "(KUBERNETES_SERVICE_HOST is not set)",
                "--kubernetes-url");
  }
  if (in_pod && access.token_file.empty()) access.token_file = AccountFile("token");
  if (in_pod && access.ca_file.empty()) access.ca_file = AccountFile("ca.crt");
  auto url = http::Url::Parse(access.url);
  if (!url) {
    return Fail(Code::kInvalidArgument, "--kubernetes-url: " + url.error().message,
                "--kubernetes-url");
  }
  std::shared_ptr<const io::TlsContext> tls;
  if (url->scheme == http::Url::Scheme::kHttps) {
    auto made = io::TlsContext::ForClient({.ca_file = access.ca_file, .insecure = false});
    if (!made) return Fail(made.error());
    tls = std::move(*made);
  }
  std::unique_ptr<KubernetesApi> api(new KubernetesApi(std::move(access), std::move(*url)));
  api->origin_.connect.tls = std::move(tls);
  if (const auto token = api->Token(); !token) return Fail(token.error());
  return api;
}

Result<std::string> KubernetesApi::Token() const {
  if (access_.token_file.empty()) return std::string();
  auto token = ReadSmallFile(access_.token_file, kTokenMax);
  if (!token) {
    return Fail(Code::kInvalidArgument, "--kubernetes-token-file: " + token.error().message,
                "--kubernetes-token-file");
  }
  while (!token->empty() && (token->back() == '\n' || token->back() == ' ')) token->pop_back();
  return token;
}

// Where the server is, asked anew after each failure to reach it.
Status KubernetesApi::Resolve() {
  if (resolved_) return {};
  if (url_.scheme == http::Url::Scheme::kUnix) {
    return Fail(Code::kInvalidArgument, "--kubernetes-url must be https:// or http://",
                "--kubernetes-url");
  }
  auto address = io::ResolveBlocking(url_.host, url_.port);
  if (!address) return Fail(Code::kUnavailable, address.error().message);
  origin_.address = std::move(*address);
  origin_.host = url_.HostField();
  if (origin_.connect.tls != nullptr) origin_.connect.tls_server_name = url_.host;
  resolved_ = true;
  return {};
}

Result<ApiReply> KubernetesApi::Call(std::string_view method, const std::string& target,
                                     const std::string& body) {
  if (auto resolved = Resolve(); !resolved) return Fail(resolved.error());
  Result<ApiReply> reply = Fail(Code::kInternal, "not asked");
  io::RunBlocking(loop_, Run(*this, method, target, body, reply));
  if (!reply && reply.error().code != Code::kRateLimited) resolved_ = false;
  return reply;
}

io::Task<void> KubernetesApi::Run(KubernetesApi& api, std::string_view method, std::string target,
                                  std::string body, Result<ApiReply>& reply) {
  reply = co_await api.Try(method, std::move(target), std::move(body),
                           Deadline::After(api.loop_.Now(), api.access_.call_max));
}

io::Task<Result<ApiReply>> KubernetesApi::Try(std::string_view method, std::string target,
                                              std::string body, Deadline deadline) {
  auto token = Token();
  if (!token) co_return Fail(token.error());
  for (int attempt = 1;; ++attempt) {
    Duration asked{};
    auto reply = co_await TryOnce(method, target, body, *token, deadline, asked);
    const bool last = attempt >= kApiAttemptsMax || deadline.Passed(loop_.Now());
    if (reply && reply->status == 401 && !last) {
      auto newer = Token();
      if (!newer || *newer == *token) co_return reply;
      token = std::move(newer);
      continue;
    }
    if (reply && !IsWorthRetrying(reply->status)) co_return reply;
    if (last) {
      if (!reply) co_return reply;
      const Code code = reply->status == 429 ? Code::kRateLimited : Code::kUpstream;
      co_return Fail(code, fmt::format("{} {} answered {} after {} attempts: {}", method, target,
                                       reply->status, attempt, ReadStatusMessage(reply->body)));
    }
    const auto slept = co_await loop_.Sleep(ApiBackoff(attempt + 1, asked, random_));
    if (!slept) co_return Fail(slept.error());
  }
}

io::Task<Result<ApiReply>> KubernetesApi::TryOnce(std::string_view method,
                                                  const std::string& target,
                                                  const std::string& body, const std::string& token,
                                                  Deadline deadline, Duration& asked) {
  const std::string authorization = "Bearer " + token;
  std::vector<http::Field> fields = {{"accept", "application/json"}};
  if (!token.empty()) fields.push_back({"authorization", authorization});
  auto response =
      co_await client_.Send(origin_,
                            {.method = method,
                             .target = target,
                             .content_type = body.empty() ? "" : "application/merge-patch+json",
                             .body = body,
                             .fields = fields},
                            deadline);
  if (!response) {
    co_return Fail(response.error().code,
                   fmt::format("{} {}: {}", method, access_.url, response.error().message));
  }
  ApiReply reply{.status = (*response)->status(), .body = {}};
  asked = RetryAfter((*response)->head());
  auto text = co_await (*response)->ReadAll(kApiAnswerMax, deadline);
  if (!text) co_return Fail(text.error());
  reply.body = std::move(*text);
  co_return reply;
}

}  // namespace penstock::fleet
