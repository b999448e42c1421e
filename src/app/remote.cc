#include "app/remote.h"

#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/answers.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "http/client.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::app {

namespace {

constexpr Duration kCallWaitMax = std::chrono::seconds(60);
constexpr std::size_t kAnswerBytesMax = std::size_t{64} * 1024 * 1024;

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// `given`, or the content of `file` in the data directory.
Result<std::string> GivenOrRead(const std::string& given, const RemoteOptions& options,
                                const char* file, const char* flag) {
  if (!given.empty()) return given;
  const std::string path = options.data_dir + "/" + file;
  std::ifstream input(path);
  std::stringstream text;
  if (!input || !(text << input.rdbuf())) {
    if (flag == std::string_view("--server")) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("no server runs on {0}: there is no {1}. Start one with `penstock "
                              "serve --data-dir {0}`, or say where it is with --server",
                              options.data_dir, path),
                  flag);
    }
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is not given, and {} cannot be read: is a server running with "
                            "--data-dir {}?",
                            flag, path, options.data_dir),
                flag);
  }
  return Trimmed(std::move(text).str());
}

struct CallState {
  http::Origin origin;
  std::string key;
  std::string_view method;
  std::string target;
  std::string_view body;
  std::optional<Result<RemoteAnswer>> answer;
};

io::Task<void> RunCall(io::Loop& loop, CallState& call) {
  http::Client client(loop);
  const std::string authorization = "Bearer " + call.key;
  const http::Field field{"authorization", authorization};
  const Deadline deadline = Deadline::After(loop.Now(), kCallWaitMax);
  const auto response =
      co_await client.Send(call.origin,
                           {.method = call.method,
                            .target = call.target,
                            .content_type = call.body.empty() ? "" : "application/json",
                            .body = call.body,
                            .fields = std::span(&field, 1)},
                           deadline);
  if (!response) {
    call.answer = Fail(response.error());
    co_return;
  }
  auto body = co_await (*response)->ReadAll(kAnswerBytesMax, deadline);
  if (!body) {
    call.answer = Fail(body.error());
    co_return;
  }
  call.answer = RemoteAnswer{(*response)->status(), std::move(*body)};
}

}  // namespace

void AddRemoteFlags(CLI::App& command, RemoteOptions& options) {
  AddFlag(command, "--server", options.server,
          "The server's URL; else read from the data directory");
  AddFlag(command, "--api-key", options.api_key, "An API key; else the data directory's admin key");
  AddFlag(command, "--data-dir", options.data_dir, "The server's data directory");
}

Result<RemoteAnswer> CallServer(const RemoteOptions& options, std::string_view method,
                                std::string_view target, std::string_view body) {
  const auto server = GivenOrRead(options.server, options, "run/url", "--server");
  if (!server) return Fail(server.error());
  auto key = GivenOrRead(options.api_key, options, "admin.key", "--api-key");
  if (!key) return Fail(key.error());
  auto url = http::Url::Parse(*server);
  if (!url) return Fail(url.error());
  auto origin = http::Origin::From(*url);
  if (!origin) return Fail(origin.error());
  io::EpollLoop loop;
  CallState call{.origin = std::move(*origin),
                 .key = std::move(*key),
                 .method = method,
                 .target = std::string(target),
                 .body = body,
                 .answer = {}};
  io::RunBlocking(loop, RunCall(loop, call));
  const bool answered = call.answer->has_value();
  if (!answered && options.server.empty() && call.answer->error().code == Code::kUnavailable) {
    return Fail(Code::kInvalidArgument,
                fmt::format("no server runs on {0}: {0}/run/url is stale, for {1}",
                            options.data_dir, call.answer->error().message),
                "--data-dir");
  }
  return std::move(*call.answer);
}

Result<boost::json::value> CallForJson(const RemoteOptions& options, std::string_view method,
                                       std::string_view target, std::string_view body) {
  const auto answer = CallServer(options, method, target, body);
  if (!answer) return Fail(answer.error());
  if (answer->status >= 400) {
    return Fail(
        CodeOfHttpStatus(answer->status),
        fmt::format("the server answered {}: {}", answer->status, ReadErrorMessage(answer->body)),
        kAnswered);
  }
  boost::system::error_code failure;
  boost::json::value json = boost::json::parse(answer->body, failure);
  if (failure) return Fail(Code::kUpstream, "the server's answer is not JSON");
  return json;
}

int CallAndPrint(const RemoteOptions& options, std::string_view method, std::string_view target,
                 std::string_view body) {
  const auto answer = CallForJson(options, method, target, body);
  if (!answer) return Report(answer.error());
  PrintJson(boost::json::serialize(*answer));
  return kExitGood;
}

}  // namespace penstock::app
