// A client's connection: it cuts the bytes into requests, one after the other, and each is an exchange.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_DOWNSTREAM_H_
#define FASTCONTAINER_EXAMPLES_PROXY_DOWNSTREAM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "examples/proxy/exchange.h"
#include "examples/proxy/header_check.h"
#include "examples/proxy/tcp.h"
#include "examples/proxy/timeouts.h"

namespace proxy {

struct Context;

class Downstream final : public Tcp {
 public:
  explicit Downstream(Context* context);
  // After Accept().
  void Start();

  Peer peer() const { return {peer_, trusted_}; }
  // Writes and empties *out.
  void Send(Output* out);
  void Send(std::string_view data);
  // The exchange is over; its response has been handed over whole.
  void Finished(bool persistent);
  // The response cannot be completed, and the client must see that.
  void Abort();
  // The exchange can take more of the body, or no more at present.
  void UpdateReading();
  // What the client sends belongs to the exchange, as it comes.
  void BeginTunnel();
  // Closed if no request is in progress.
  void MakeRoom();
  // Closed when it has been quiet for a while from now on.
  void Drain();
  // Closes it now.
  void Cut();

  static void OnTimeout(void* downstream);
  static void OnSendTimeout(void* downstream);

 private:
  enum class Phase {
    kPreface,  // what a load balancer says of the client
    kHead,     // reading one, or waiting for it
    kBody,
    kResponse,  // the request is complete
    kTunnel,
    kFlush,   // close when all is sent
    kLinger,  // the client may still be sending: closing at once could destroy the response (RFC 9112
              // section 9.6)
  };

  ~Downstream() override;
  bool quiet() const;  // between two requests
  Exchange& exchange();
  void OnData(std::string_view data) override;
  void OnEnd(int error) override;
  void OnSent() override;
  size_t Consume(std::string_view data);
  void ConsumeHeld();
  void SetPeer(const sockaddr_storage& address);
  bool TakePreface(std::string_view* data);
  bool TakeHead(std::string_view* data);
  bool TakeBody(std::string_view* data);
  void Leave(bool linger);
  void LeaveWhenSent();
  void CloseNow(bool reset);

  Context* context_;
  Phase phase_ = Phase::kHead;
  bool consuming_ = false;
  bool head_started_ = false;  // a byte of it has come
  bool linger_ = false;
  bool ended_ = false;  // the client sends no more
  size_t part_ = 0;     // of the body, since its time-out was started
  size_t index_ = 0;    // in context_->clients
  std::string held_;    // received and not yet consumed
  HeadScan scan_;
  std::string peer_;
  bool trusted_ = false;  // the peer
  Timeout timeout_;       // of the phase
  Timeout send_timeout_;
  std::unique_ptr<Exchange> exchange_;  // null: none has begun
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_DOWNSTREAM_H_
