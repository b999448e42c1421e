// Reading a response's body, without copying and without a coroutine per piece.
#include <algorithm>
#include <utility>

#include "http/client.h"

namespace penstock::http {

const ResponseHead ClientResponse::kNoHead;

ClientResponse::ClientResponse(Client& client, std::size_t place,
                               std::unique_ptr<io::Stream> stream)
    : client_(client), stream_(std::move(stream)), place_(place) {}

ClientResponse::~ClientResponse() { acks_.Leave(client_.pool_.acks_of(place_)); }

Status ClientResponse::TakeHead(std::size_t bytes, std::string_view method) {
  ResponseHead& head = opening_->head;
  auto parsed = ParseResponseHead(opening_->bytes.view().substr(0, bytes), method,
                                  client_.options_.limits.head, head);
  if (!parsed) return parsed;
  status_ = head.status;
  body_ = head.body;
  left_ = head.content_length;
  keep_alive_ = head.keep_alive && written_;
  opening_->early = bytes;
  if (status_ >= 200 && body_ == BodyKind::kNone) End(has_early());
  return {};
}

void ClientResponse::ReleaseHead() {
  if (!has_early()) {
    opening_.reset();
    return;
  }
  Buffer rest;
  rest.Append(opening_->bytes.view().substr(opening_->early));
  *opening_ = Opening{.bytes = std::move(rest), .early = 0, .released = true, .head = {}};
}

void ClientResponse::SetCompanions(io::Companions* companions) {
  constexpr std::size_t kPerPiece = 128;  // Bytes that each piece touches: the first.
  if (companions != nullptr) companions->Add(this, kPerPiece);
  if (stream_) stream_->SetCompanions(companions);
}

void ClientResponse::End(bool surplus) {
  ended_ = true;
  stream_->SetCompanions(nullptr);
  acks_.Leave(client_.pool_.acks_of(place_));
  if (acks_.puts_off()) stream_->PutOffAcknowledgements(false);
  // Bytes behind the end are an answer to nothing: such a connection is not trusted again.
  if (keep_alive_ && !surplus) {
    client_.pool_.Keep(place_, std::move(stream_));
  } else {
    stream_.reset();
  }
}

ClientResponse::NextOp::NextOp(ClientResponse& response, Deadline deadline) : response_(response) {
  if (response.ended_ || response.has_early()) return;
  // What came with the head has been read, too: nothing looks there.
  if (response.opening_ && response.opening_->released) response.opening_.reset();
  read_.emplace(*response.stream_, response.client_.loop_.scratch(), deadline);
}

Result<BodyPiece> ClientResponse::NextOp::await_resume() {
  if (!read_) {
    if (response_.ended_) return BodyPiece{.raw = {}, .payload = {}, .ended = true};
    Opening& opening = *response_.opening_;
    const std::string_view early = opening.bytes.view().substr(opening.early);
    opening.early = opening.bytes.size();
    return response_.Consume(early);
  }
  const auto bytes = read_->await_resume();
  if (!bytes) return Fail(bytes.error());
  if (*bytes == 0) {
    response_.received_at_ = response_.stream_->received_at();
    return response_.AtPeerEnd();
  }
  response_.NotePiece(*bytes);
  return response_.Consume({response_.client_.loop_.scratch().data(), *bytes});
}

void ClientResponse::NotePiece(std::size_t bytes) {
  const TimePoint now = stream_->received_at();
  const Duration gap = now - std::exchange(received_at_, now);
  ++reads_;
  if (!client_.options_.put_off_acks) return;
  const auto act = acks_.Note(now, gap, bytes, client_.pool_.acks_of(place_));
  if (act != AckPolicy::Act::kNothing) {
    stream_->PutOffAcknowledgements(act == AckPolicy::Act::kPutOff);
  }
}

Result<BodyPiece> ClientResponse::AtPeerEnd() {
  if (body_ != BodyKind::kUntilClose) {
    return Fail(Code::kUpstream, "response: the server closed the connection within the body");
  }
  End(false);
  return BodyPiece{.raw = {}, .payload = {}, .ended = true};
}

Result<BodyPiece> ClientResponse::Consume(std::string_view bytes) {
  auto& payload = client_.payload_;
  payload.clear();
  std::size_t taken = bytes.size();
  bool whole = false;
  if (body_ == BodyKind::kChunked) {
    auto decoded = chunked_.Decode(bytes, client_.options_.limits.chunk, payload);
    if (!decoded) {
      Error error = std::move(decoded).error();
      error.code = Code::kUpstream;
      error.message.insert(0, "response ");
      return Fail(std::move(error));
    }
    taken = *decoded;
    whole = chunked_.ended();
  } else {
    if (body_ == BodyKind::kLength) {
      taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= taken;
      whole = left_ == 0;
    }
    payload.push_back(bytes.substr(0, taken));
  }
  if (whole) End(taken < bytes.size());
  return BodyPiece{.raw = bytes.substr(0, taken), .payload = payload, .ended = whole};
}

io::Task<Result<std::string>> ClientResponse::ReadAll(std::size_t bytes_max, Deadline deadline) {
  std::string body;
  while (!ended_) {
    const auto piece = co_await Next(deadline);
    if (!piece) co_return Fail(piece.error());
    for (const std::string_view part : piece->payload) {
      if (part.size() > bytes_max - body.size()) {
        co_return Fail(Code::kTooLarge,
                       "response body: over the limit of " + std::to_string(bytes_max) + " bytes");
      }
      body.append(part);
    }
  }
  co_return body;
}

}  // namespace penstock::http
