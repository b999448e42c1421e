#include "gateway/failure.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace penstock::gateway {
namespace {

std::int64_t CeilMs(Duration wait) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}
std::int64_t CeilSeconds(Duration wait) { return (CeilMs(wait) + 999) / 1000; }

std::string_view AzureOperation(Operation operation) {
  switch (operation) {
    case Operation::kCompletions:
      return "Completions_Create";
    case Operation::kEmbeddings:
      return "Embeddings_Create";
    default:
      return "ChatCompletions_Create";
  }
}

std::string AzureWords(policy::Refusal refusal, Duration wait, const RefusedRequest& request) {
  if (refusal == policy::Refusal::kQuotaTokens || refusal == policy::Refusal::kQuotaRequests) {
    return fmt::format(
        "Requests to the {} Operation under Azure OpenAI API version {} have exceeded {} rate "
        "limit of your current OpenAI S0 pricing tier. Please retry after {} seconds. Please go "
        "here: https://aka.ms/oai/quotaincrease if you would like to further increase the default "
        "rate limit.",
        AzureOperation(request.operation), request.api_version,
        refusal == policy::Refusal::kQuotaTokens ? "token" : "call", CeilSeconds(wait));
  }
  if (policy::IsForCapacity(refusal)) {
    return fmt::format(
        "System is experiencing high demand and cannot process your request. Please retry after {} "
        "milliseconds.",
        CeilMs(wait));
  }
  return fmt::format(
      "Requests to deployment '{}' have exceeded its provisioned throughput. Please retry after {} "
      "milliseconds.",
      request.endpoint, CeilMs(wait));
}

// At the pace of the present window.
std::int64_t InMinute(const policy::Lane::Headroom& room) {
  const std::int64_t used = room.limit_requests - room.remaining_requests;
  return room.limit_requests > 0 ? room.requests_per_minute * used / room.limit_requests : 0;
}

// Which figure a refusal is about: none where there was no room, for that is no limit.
std::optional<LimitDetail> DetailOf(policy::Refusal refusal, const policy::Lane::Headroom& room) {
  const LimitDetail tokens{.type = "tokens_per_minute",
                           .limit = room.limit_tokens,
                           .current = room.limit_tokens - room.remaining_tokens};
  switch (refusal) {
    case policy::Refusal::kQuotaTokens:
      return tokens;
    case policy::Refusal::kQuotaRequests:
      return LimitDetail{.type = "queries_per_minute",
                         .limit = room.requests_per_minute,
                         .current = InMinute(room)};
    case policy::Refusal::kCap:
    case policy::Refusal::kUtilization: {
      LimitDetail cap = tokens;
      cap.type = "provisioned_throughput_per_minute";
      return cap;
    }
    default:
      return std::nullopt;
  }
}

std::string_view ReasonOf(policy::Refusal refusal) {
  switch (refusal) {
    case policy::Refusal::kCap:
      return "it has drawn all of its maximum provisioned throughput";
    case policy::Refusal::kUtilization:
      return "its provisioned throughput is used up";
    case policy::Refusal::kQuotaTokens:
      return "its tokens per minute are used up";
    case policy::Refusal::kQuotaRequests:
      return "its requests per minute are used up";
    case policy::Refusal::kNoRoom:
      return "every replica is full, and it does not queue";
    case policy::Refusal::kQueueFull:
      return "its queue is full";
    case policy::Refusal::kQueueWait:
      return "the request waited in its queue for as long as it may";
    default:
      return "it has no replica that is ready";
  }
}

}  // namespace

Failure FailureOf(Error error) {
  if (error.code == Code::kClosed || error.code == Code::kUpstream) error.code = Code::kUnavailable;
  Failure failure;
  failure.status = Traits(error.code).http_status;
  if (failure.status == 503 || failure.status == 429) failure.retry_after = std::chrono::seconds(1);
  failure.error = std::move(error);
  return failure;
}

Failure FailureOf(const policy::Answer& refused, const policy::Lane::Headroom& room,
                  const RefusedRequest& request) {
  const bool nobody = refused.refusal == policy::Refusal::kNoReplica;
  Failure failure;
  failure.retry_after = std::max<Duration>(refused.retry_after, std::chrono::milliseconds(1));
  failure.by_contract = !nobody;
  failure.error.code = nobody ? Code::kUnavailable : Code::kRateLimited;
  failure.status = Traits(failure.error.code).http_status;
  if (request.surface == Surface::kAzure && !nobody) {
    failure.error.message = AzureWords(refused.refusal, failure.retry_after, request);
  } else if (nobody && request.waited >= std::chrono::seconds(1)) {
    failure.error.message = fmt::format(
        "endpoint '{}': no replica became ready within {:g} s (serve --cold-start-wait-max-s); "
        "retry after {} ms",
        request.endpoint, std::round(Seconds(request.waited)), CeilMs(failure.retry_after));
  } else {
    failure.error.message = fmt::format("endpoint '{}': {}; retry after {} ms", request.endpoint,
                                        ReasonOf(refused.refusal), CeilMs(failure.retry_after));
  }
  failure.limited = DetailOf(refused.refusal, room);
  if (failure.limited) failure.limited->retry_after_s = CeilSeconds(failure.retry_after);
  return failure;
}

Failure FailureOf(const policy::RateRefusal& refused, const RefusedRequest& request) {
  const bool calls = refused.limit.calls > 0;
  Failure failure;
  failure.retry_after = refused.retry_after;
  failure.by_contract = true;
  failure.error.code = Code::kRateLimited;
  failure.status = 429;
  failure.error.message = fmt::format(
      "User defined rate limit(s) exceeded for endpoint '{}': {} {} per minute for {}{}{}, {} in "
      "the last minute; retry after {} s",
      request.endpoint, calls ? refused.limit.calls : refused.limit.tokens,
      calls ? "calls" : "tokens", ToString(refused.limit.key),
      refused.limit.principal.empty() ? "" : " ", refused.limit.principal, refused.current,
      CeilSeconds(refused.retry_after));
  failure.limited = LimitDetail{.type = calls ? "queries_per_minute" : "tokens_per_minute",
                                .limit = calls ? refused.limit.calls : refused.limit.tokens,
                                .current = refused.current,
                                .retry_after_s = CeilSeconds(refused.retry_after)};
  return failure;
}

Failure OperationNotSupported(Operation operation, std::string_view model) {
  Failure failure;
  failure.status = 400;
  failure.error.code = Code::kInvalidArgument;
  failure.error.message = fmt::format(
      "The {} operation does not work with the specified model, {}. Please choose different model "
      "and try again.",
      operation == Operation::kEmbeddings    ? "embeddings"
      : operation == Operation::kCompletions ? "completion"
                                             : "chatCompletion",
      model);
  failure.api_code = "OperationNotSupported";
  return failure;
}

void PutIntoDatabricksWords(Failure& failure) {
  failure.error.message.insert(0, "REQUEST_LIMIT_EXCEEDED: ");
}

void AddRetryFields(const Failure& failure, AnswerFields& fields) {
  if (failure.retry_after <= Duration{}) return;
  fields.Add("retry-after-ms", fmt::format("{}", CeilMs(failure.retry_after)));
  fields.Add("retry-after", fmt::format("{}", CeilSeconds(failure.retry_after)));
}

void PassRetryFields(const http::Fields& upstream, AnswerFields& fields) {
  for (const std::string_view name : {"retry-after-ms", "retry-after"}) {
    fields.Add(name, std::string(upstream.Get(name)));
  }
}

Duration ReadRetryFields(const http::Fields& upstream) {
  static constexpr double kSecondsMax = 86'400;
  const auto read = [&upstream](std::string_view name, double per_second) {
    const std::string_view text = upstream.Get(name);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || !(value > 0)) return Duration{};
    const double seconds = std::min(value / per_second, kSecondsMax);
    return Duration(static_cast<std::int64_t>(std::ceil(1e9 * seconds)));
  };
  const Duration exact = read("retry-after-ms", 1000);
  return exact > Duration{} ? exact : read("retry-after", 1);
}

bool IsContextOverflow(const Failure& failure) {
  return failure.status == 400 && failure.body.find("context_length_exceeded") != std::string::npos;
}

}  // namespace penstock::gateway
