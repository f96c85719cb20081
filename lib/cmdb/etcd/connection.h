// Bytes to and from one endpoint over TCP, with TLS if wanted.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_CONNECTION_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "fastcontainer/address.h"
#include "fastcontainer/reactor.h"
#include "lib/base/name_lookup.h"
#include "lib/cmdb/etcd/tls.h"
#include "lib/cmdb/etcd/url.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer::etcd {

// Belongs to the loop's thread. Callbacks run on the loop, and none after Close().
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Observer {
    absl::AnyInvocable<void(std::string_view bytes)> on_bytes;
    absl::AnyInvocable<void(const absl::Status& why)> on_closed;  // once; nothing follows
  };

  // `tls` may be null. What is sent before the connection stands is kept.
  static std::shared_ptr<Connection> Open(Reactor& reactor, const Endpoint& endpoint,
                                          std::shared_ptr<TlsContext> tls, Observer observer);
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Send(std::string_view bytes);
  void Close();
  // How much has not been given to the kernel yet.
  size_t unsent() const { return out_.size() - out_begin_; }

 private:
  Connection(Reactor& reactor, Observer observer) : reactor_(reactor), observer_(std::move(observer)) {}
  void OnAddresses(absl::StatusOr<std::vector<Address>> addresses);
  void TryNextAddress();
  absl::Status StartConnect(const Address& address);
  void OnEvents(uint32_t events);
  void FinishConnect();
  void Read();
  void Write();
  void Watch();
  void Fail(const absl::Status& why);
  absl::Status Describe(const absl::Status& why) const;

  Reactor& reactor_;
  Observer observer_;
  Endpoint endpoint_;
  std::unique_ptr<NameLookup> lookup_;
  std::vector<Address> addresses_;
  size_t next_address_ = 0;
  UniqueFd fd_;
  bool connected_ = false;
  bool closed_ = false;
  uint32_t watched_ = 0;  // events
  std::unique_ptr<TlsSession> tls_;
  std::string out_;
  size_t out_begin_ = 0;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_CONNECTION_H_
