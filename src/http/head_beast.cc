// The only file that sees Boost.Beast: its parser's events become our views. Tests only.
//
// Beast copies nothing here: the head is whole and in one piece, so the strings it reports lie in
// the bytes it was given. The exception is a folded field value, which is refused.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <functional>
#include <limits>
#include <string>

#include "http/head_beast.h"

namespace penstock::http {

namespace {

namespace beast = boost::beast::http;
using BeastString = boost::beast::string_view;
using BeastError = boost::beast::error_code;

std::string_view View(BeastString text) { return {text.data(), text.size()}; }

// What the parser reports, for either kind of head.
template <bool is_request, typename Head>
class Reader final : public beast::basic_parser<is_request> {
 public:
  Reader(std::string_view bytes, Head& head, const HeadLimits& limits)
      : bytes_(bytes), head_(head), limits_(limits) {
    this->header_limit(std::numeric_limits<std::uint32_t>::max());
    this->body_limit(boost::none);
    this->skip(true);  // The body is not its business.
  }

  bool too_many() const { return too_many_; }
  bool folded() const { return folded_; }

 private:
  void on_request_impl(beast::verb, BeastString method, BeastString target, int version,
                       BeastError&) override {
    if constexpr (is_request) {
      head_.method = View(method);
      head_.target = View(target);
      head_.minor_version = version - 10;
    }
  }
  void on_response_impl(int status, BeastString reason, int version, BeastError&) override {
    if constexpr (!is_request) {
      head_.status = status;
      head_.reason = View(reason);
      head_.minor_version = version - 10;
    }
  }
  void on_field_impl(beast::field, BeastString name, BeastString value,
                     BeastError& error) override {
    if (head_.fields.size() == limits_.fields_max) {
      too_many_ = true;
      error = beast::error::header_limit;
      return;
    }
    if (!EndedAt(name.data()) || !TakeEnd(View(name), View(value))) {
      folded_ = true;
      error = beast::error::bad_value;
      return;
    }
    head_.fields.Add(View(name), View(value));
  }
  void on_header_impl(BeastError&) override {
    if (end_ == nullptr) return;
    const std::string_view rest = bytes_.substr(static_cast<std::size_t>(end_ - bytes_.data()));
    if (rest.substr(rest.find('\n') + 1, 2) != "\r\n") folded_ = true;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(BeastString, BeastError&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, BeastString, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastString, BeastError&) override { return 0; }
  void on_finish_impl(BeastError&) override {}

  // Folded values are a smuggler's tool, and Beast unfolds them into a buffer of its own. So a
  // value must lie in the bytes, on its name's line, and nothing but one line's end between it and
  // `next`.
  bool EndedAt(const char* next) const {
    if (end_ == nullptr) return true;
    const std::string_view gap(end_, static_cast<std::size_t>(next - end_));
    return gap.find('\n') == gap.size() - 1;
  }
  bool TakeEnd(std::string_view name, std::string_view value) {
    const char* name_end = name.data() + name.size();
    end_ = name_end;
    if (value.empty()) return true;
    const std::less_equal<> before;  // Of pointers into different arrays, too.
    if (!before(name_end, value.data()) ||
        !before(value.data() + value.size(), bytes_.data() + bytes_.size())) {
      return false;
    }
    end_ = value.data() + value.size();
    const auto between = static_cast<std::size_t>(value.data() - name_end);
    return !std::string_view(name_end, between).contains('\n');
  }

  std::string_view bytes_;
  const char* end_ = nullptr;  // Of the last field's value.
  Head& head_;
  const HeadLimits& limits_;
  bool too_many_ = false;
  bool folded_ = false;
};

}  // namespace

bool ReadByBeast(std::string_view bytes, RequestHead& head) {
  const HeadLimits limits;
  head.fields.Clear();
  Reader<true, RequestHead> reader(bytes, head, limits);
  BeastError error;
  const std::size_t taken = reader.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  return !reader.too_many() && !reader.folded() && !error && reader.is_header_done() &&
         taken == bytes.size();
}

}  // namespace penstock::http
