// The strict look at a header block before any parser sees it. What two parsers could read in two ways is
// refused here (RFC 9112 sections 2.2, 5.1, 5.2, 6.3 and 11.2), so that nobody behind the proxy can be made
// to read it otherwise.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_HEADER_CHECK_H_
#define FASTCONTAINER_EXAMPLES_PROXY_HEADER_CHECK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace proxy {

constexpr size_t kMaxHeadBytes = 64 * 1024;
constexpr size_t kMaxFields = 100;

// Looks for the end of the block in bytes that come in parts.
class HeadScan {
 public:
  enum class Result { kMore, kComplete, kBad, kTooLarge };

  // `data` starts where it started last time, and may be longer.
  Result Continue(std::string_view data);
  // Of the block with its empty line, once complete.
  size_t size() const { return next_; }
  // The line that was begun is the first.
  bool in_first_line() const { return line_ == 0; }
  void Reset() { next_ = line_ = 0; }

 private:
  size_t next_ = 0;  // not looked at yet
  size_t line_ = 0;  // where the present line starts
};

// What Keep-Alive says of a connection (RFC 2068 section 19.7.1).
struct KeepAlive {
  std::optional<uint32_t> timeout;  // s
  std::optional<uint32_t> max;      // requests that may follow
};

// What the check learns. Views point into the block.
struct Head {
  std::string_view method;  // of a request
  std::string_view target;
  std::string_view host;  // the value of Host; empty: none
  int status = 0;         // of a response
  int minor = 1;          // HTTP/1.x
  bool has_host = false;
  bool chunked = false;
  bool has_length = false;
  bool close = false;       // Connection: close
  bool keep_alive = false;  // Connection: keep-alive
  bool expects_continue = false;
  bool several_upgrades = false;
  bool te_trailers = false;  // TE: trailers
  std::string_view upgrade;  // the value of Upgrade
  uint64_t length = 0;
  KeepAlive keep_alive_limits;
  std::optional<uint32_t> max_forwards;
  uint32_t named_count = 0;
  std::array<std::string_view, 16> named;  // other fields that Connection names

  bool Persistent() const { return !close && (minor == 1 || keep_alive); }
  bool Names(std::string_view field) const;
  // The one protocol that an end of the connection offers, or agrees to; empty: none (RFC 9110 section 7.8).
  std::string_view Upgrade() const;
};

// 0, or the status to answer with. `block` is a complete one.
int CheckRequest(std::string_view block, Head* head);
int CheckResponse(std::string_view block, Head* head);

// Host[:port] in the letters that RFC 3986 allows for reg-name without escapes, or an address in brackets.
bool ValidAuthority(std::string_view authority);
// RFC 9110 sections 5.6.2 and 5.5
bool IsToken(std::string_view text);
bool IsFieldValue(std::string_view text);
// "_" counts as "-": CGI makes one environment variable of both. `lower` is in lower case.
bool NamesField(std::string_view name, std::string_view lower);
// ASCII only.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_HEADER_CHECK_H_
