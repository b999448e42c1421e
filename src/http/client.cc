// Sending requests, and the heads of their responses.
#include "http/client.h"

#include <charconv>
#include <utility>

#include "base/check.h"
#include "http/append_field.h"
#include "http/head_scanner.h"

namespace penstock::http {

namespace {

// The head scanner speaks of requests; a response's faults are the server's.
Error AsUpstream(Error error) {
  error.code = Code::kUpstream;
  error.message.insert(0, "response ");
  return error;
}

bool WantsLength(const Request& request) {
  return !request.body.empty() || (request.method != "GET" && request.method != "HEAD");
}

}  // namespace

Client::Client(io::Loop& loop, ClientOptions options)
    : loop_(loop), options_(options), pool_(loop, options_.limits) {}

Client::~Client() = default;

void Client::AppendHead(const Origin& origin, const Request& request, std::string& to) const {
  to.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  AppendField("host", origin.host, to);
  if (!options_.user_agent.empty()) AppendField("user-agent", options_.user_agent, to);
  if (!request.content_type.empty()) AppendField("content-type", request.content_type, to);
  if (WantsLength(request)) {
    char digits[20];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), request.body.size()).ptr;
    AppendField("content-length", {digits, static_cast<std::size_t>(end - digits)}, to);
  }
  for (const Field& field : request.fields) AppendField(field.name, field.value, to);
  to += "\r\n";
}

io::Task<Result<std::unique_ptr<io::Stream>>> Client::Connect(const Origin& origin,
                                                              Deadline deadline) {
  const Deadline sooner =
      Earlier(deadline, Deadline::After(loop_.RecentNow(), options_.limits.connect_wait_max));
  auto stream = co_await loop_.Connect(origin.address, origin.connect, sooner);
  if (!stream) {
    // A server that cannot be reached in its own time is away; the request's time is not over.
    const bool away = stream.error().code == Code::kDeadline && !deadline.Passed(loop_.Now());
    if (away) stream.error().code = Code::kUnavailable;
    co_return Fail(std::move(stream).error());
  }
  ++connects_;
  if (options_.receive_timestamps) (*stream)->EnableReceiveTimestamps();
  co_return std::move(stream);
}

io::Task<Result<std::unique_ptr<ClientResponse>>> Client::Send(const Origin& origin,
                                                               Request request, Deadline deadline,
                                                               SendReport* report) {
  SendReport unwanted;
  SendReport& told = report != nullptr ? *report : unwanted;
  told = {};
  const std::size_t place = pool_.Find(origin);
  auto stream = pool_.Take(place);
  told.reused = stream != nullptr;
  if (stream) {
    told.connected = true;
    auto response = co_await Exchange(origin, request, {place, std::move(stream)}, deadline, told);
    const bool stale = !response && !told.answered && response.error().code == Code::kClosed;
    if (!stale || !request.retry_stale) co_return response;
    told = {};
  }
  auto fresh = co_await Connect(origin, deadline);
  if (!fresh) co_return Fail(std::move(fresh).error());
  told.connected = true;
  co_return co_await Exchange(origin, request, {place, *std::move(fresh)}, deadline, told);
}

io::Task<Result<std::unique_ptr<ClientResponse>>> Client::Exchange(const Origin& origin,
                                                                   const Request& request, Way way,
                                                                   Deadline deadline,
                                                                   SendReport& report) {
  auto response = std::make_unique<ClientResponse>(*this, way.place, std::move(way.stream));
  out_.clear();
  AppendHead(origin, request, out_);
  report.sent_at = loop_.Now();
  report.sent = true;
  const auto written = co_await response->stream_->Write(out_, request.body, deadline);
  // A server may answer and close before it has read a long request: its answer counts.
  if (!written && (written.error().code != Code::kClosed || report.reused)) {
    co_return Fail(written.error());
  }
  response->written_ = written.has_value();
  if (auto head = co_await ReadHead(*response, request.method, deadline, report); !head) {
    co_return Fail(std::move(head).error());
  }
  co_return std::move(response);
}

io::Task<Status> Client::ReadHead(ClientResponse& response, std::string_view method,
                                  Deadline deadline, SendReport& report) {
  HeadScanner scanner;
  std::size_t interim = 0;
  for (;;) {
    auto bytes = scanner.Scan(response.opening_->bytes.view(), options_.limits.head);
    if (!bytes) co_return Fail(AsUpstream(std::move(bytes).error()));
    if (*bytes > 0) {
      auto taken = response.TakeHead(*bytes, method);
      if (!taken) co_return taken;
      if (response.status_ >= 200) co_return Status();
      if (response.status_ == 101 || ++interim > options_.limits.interim_responses_max) {
        co_return Fail(Code::kUpstream, "response: status " + std::to_string(response.status_) +
                                            ", the final one is missing");
      }
      response.opening_->bytes.DropFront(*bytes);
      response.opening_->early = 0;
      scanner.Reset();
      continue;
    }
    const auto read = co_await response.stream_->Read(loop_.scratch(), deadline);
    if (!read) co_return Fail(read.error());
    if (*read == 0 && !report.answered) {
      co_return Fail(Code::kClosed, "response: the server closed the connection without one");
    }
    if (*read == 0) {
      co_return Fail(Code::kUpstream, "response: the server closed within the head");
    }
    report.answered = true;
    ++response.reads_;
    response.received_at_ = response.stream_->received_at();
    response.opening_->bytes.Append({loop_.scratch().data(), *read});
  }
}

}  // namespace penstock::http
