// TLS between bytes in memory, by OpenSSL: no sockets, no waiting.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_TLS_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_TLS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/cmdb/etcd/url.h"

struct ssl_ctx_st;
struct ssl_st;

namespace fastcontainer::etcd {

// Certificates and keys, shared by all connections.
class TlsContext {
 public:
  // Errors: InvalidArgument if a file cannot be used.
  static absl::StatusOr<std::shared_ptr<TlsContext>> Create(const Options& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* const context_;
};

// The client's end of one connection: the server's certificate must be signed by a known authority and name
// the host; the protocol must be "h2" (RFC 9113, section 3.2).
class TlsSession {
 public:
  static absl::StatusOr<std::unique_ptr<TlsSession>> Create(const TlsContext& context,
                                                            const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Takes what came from the socket and appends what it means to `plain`. Errors: Unavailable (the handshake
  // failed, the peer closed).
  absl::Status Receive(std::string_view bytes, std::string* plain);
  // Keeps `plain` until the handshake is done.
  absl::Status Send(std::string_view plain);
  // What is to be written to the socket.
  void TakeOutput(std::string* out);
  bool ready() const { return ready_; }

 private:
  explicit TlsSession(ssl_st* ssl) : ssl_(ssl) {}
  absl::Status Handshake();
  absl::Status Encrypt(std::string_view plain);

  ssl_st* const ssl_;
  bool ready_ = false;
  std::string early_;  // waits for the end of the handshake
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_TLS_H_
