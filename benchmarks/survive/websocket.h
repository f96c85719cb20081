// One client of a WebSocket (RFC 6455): sends a short text each `interval`, expects it back, and when the
// connection breaks opens another at once.
#ifndef FASTCONTAINER_BENCHMARKS_SURVIVE_WEBSOCKET_H_
#define FASTCONTAINER_BENCHMARKS_SURVIVE_WEBSOCKET_H_

#include <cstdint>
#include <string>

#include "benchmarks/survive/ledger.h"
#include "tests/deployment/openloop_request.h"

namespace survive {

class WebSocket {
 public:
  // After a connection that was refused, or a handshake that was.
  static constexpr Nanos kAfterFailure = openloop::kSecond / 10;

  WebSocket(int loop, uint64_t client, const openloop::Options& options, Nanos interval, uint64_t* numbers,
            Ledger* ledger);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void OnReady();
  // Does what is due; when something is again.
  Nanos Advance(Nanos now);
  // In the middle of something.
  bool waiting() const { return since_ != 0; }

 private:
  enum class State { kClosed, kConnecting, kHandshake, kOpen };
  void Connect(Nanos now);
  void Send(Nanos now);
  bool Write(const std::string& text);
  void Read();
  void TakeHandshake();
  void TakeFrames();
  // What was waited for has come, or never will.
  void Note(const std::string& outcome);
  void Break(const std::string& why);

  int loop_;
  uint64_t client_;
  const openloop::Options& options_;
  Nanos interval_;
  uint64_t* numbers_;
  Ledger* ledger_;
  int socket_ = -1;
  State state_ = State::kClosed;
  Nanos since_ = 0;  // of the handshake or the text that is under way; 0: none
  Nanos next_ = 0;   // the next text, or the next connection
  std::string in_;
};

}  // namespace survive

#endif  // FASTCONTAINER_BENCHMARKS_SURVIVE_WEBSOCKET_H_
