#include "bench/drive/optimization_info.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "http/client.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 10;
constexpr std::string_view kPath = "/api/2.0/serving-endpoints/get-model-optimization-info/";

io::Task<void> Ask(io::Loop& loop, const http::Origin& origin, const http::Request& request,
                   Duration timeout, std::optional<Result<std::string>>& answer) {
  http::Client client(loop, {});
  const Deadline deadline = Deadline::After(loop.Now(), timeout);
  auto response = co_await client.Send(origin, request, deadline);
  if (!response) {
    answer = Fail(response.error());
    co_return;
  }
  const int status = (*response)->status();
  auto body = co_await (*response)->ReadAll(kAnswerBytesMax, deadline);
  if (body && status != 200) {
    answer = Fail(Code::kUpstream, fmt::format("{} answered {}", request.target, status),
                  "optimization-info");
  } else {
    answer = std::move(body);
  }
}

}  // namespace

Result<OptimizationInfo> ParseOptimizationInfo(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  if (parser.parse(simdjson::padded_string(body)).get(root) != simdjson::SUCCESS) {
    return Fail(Code::kUpstream, "the optimization info is not a JSON object", "optimization-info");
  }
  OptimizationInfo info;
  static_cast<void>(root["optimizable"].get(info.optimizable));
  std::string_view type;
  if (root["model_type"].get(type) == simdjson::SUCCESS) info.model_type = type;
  std::int64_t chunk = 0;
  if (root["throughput_chunk_size"].get(chunk) == simdjson::SUCCESS) {
    if (chunk <= 0 || chunk > std::numeric_limits<int>::max()) {
      return Fail(Code::kUpstream,
                  fmt::format("throughput_chunk_size is {}, it must be at least 1", chunk),
                  "optimization-info");
    }
    info.throughput_chunk_size = static_cast<int>(chunk);
  }
  return info;
}

Result<std::string> OptimizationInfoTarget(std::string_view model_version) {
  const std::size_t slash = model_version.rfind('/');
  const bool plain = model_version.find_first_of(" ?#\r\n\t") == std::string_view::npos;
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == model_version.size() ||
      !plain) {
    return Fail(Code::kInvalidArgument,
                fmt::format("optimization-info is \"{}\", it must be MODEL/VERSION", model_version),
                "optimization-info");
  }
  return std::string(kPath) + std::string(model_version);
}

Result<OptimizationInfo> FetchOptimizationInfo(const http::Origin& origin, std::string_view api_key,
                                               std::string_view model_version, Duration timeout) {
  const auto target = OptimizationInfoTarget(model_version);
  if (!target) return Fail(target.error());
  const std::string authorization = "Bearer " + std::string(api_key);
  std::vector<http::Field> fields;
  if (!api_key.empty()) fields.push_back({"authorization", authorization});
  const http::Request request{
      .method = "GET", .target = *target, .content_type = {}, .body = {}, .fields = fields};
  std::optional<Result<std::string>> answer;
  io::EpollLoop loop;
  io::RunBlocking(loop, Ask(loop, origin, request, timeout, answer));
  if (!answer) return Fail(Code::kCancelled, "the question was not asked", "optimization-info");
  if (!*answer) return Fail(answer->error());
  return ParseOptimizationInfo(**answer);
}

}  // namespace penstock::bench
