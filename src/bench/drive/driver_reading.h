// Driver::Reading: one answer while it is read. It lies in the frame of the task that reads it, and
// so does little else: there is one for every stream.
#pragma once

#include <string>

#include "bench/drive/driver.h"
#include "bench/drive/reply_reader.h"

namespace penstock::bench {

class Driver::Reading {
 public:
  // All outlive the reading; `text` may be null.
  Reading(Driver& driver, http::ClientResponse& response, RequestRecord& record, std::string* text,
          Deadline deadline);

  // `while (reading.goes_on()) reading.Take(co_await reading.Next());`
  bool goes_on() const { return !ended_; }
  http::ClientResponse::NextOp Next();
  void Take(const Result<http::BodyPiece>& piece);

 private:
  Deadline StalledAt() const;
  void EndBroken(const Error& error);
  void EndIfComplete();

  Driver& driver_;
  http::ClientResponse& response_;
  RequestRecord& record_;
  ReplyReader reader_;
  io::Companions companions_;
  Deadline deadline_;
  bool ended_ = false;
};

}  // namespace penstock::bench
