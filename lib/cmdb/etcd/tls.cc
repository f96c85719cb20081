#include "lib/cmdb/etcd/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/address.h"

namespace fastcontainer::etcd {
namespace {

constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};

// The first error of the queue is the cause; the queue is the thread's and must not keep the others.
std::string LastError() {
  const unsigned long code = ERR_get_error();
  std::string reason = "unknown error";
  if (const char* text = ERR_reason_error_string(code); text != nullptr) reason = text;
  ERR_clear_error();
  return reason;
}

absl::Status BadFile(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat("etcd: cannot use ", path, ": ", LastError()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::Create(const Options& options) {
  ERR_clear_error();
  SSL_CTX* const raw = SSL_CTX_new(TLS_client_method());
  if (raw == nullptr) return absl::UnavailableError(absl::StrCat("etcd: TLS: ", LastError()));
  std::shared_ptr<TlsContext> context(new TlsContext(raw));
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  if (options.ca.empty()) {
    SSL_CTX_set_default_verify_paths(raw);
  } else if (SSL_CTX_load_verify_locations(raw, options.ca.c_str(), nullptr) != 1) {
    return BadFile(options.ca);
  }
  if (options.cert.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(raw, options.cert.c_str()) != 1) return BadFile(options.cert);
  if (SSL_CTX_use_PrivateKey_file(raw, options.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return BadFile(options.key);
  if (SSL_CTX_check_private_key(raw) != 1) return BadFile(options.key);
  return context;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

absl::StatusOr<std::unique_ptr<TlsSession>> TlsSession::Create(const TlsContext& context,
                                                               const std::string& host) {
  ERR_clear_error();
  SSL* const ssl = SSL_new(context.context_);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  if (ssl == nullptr || in == nullptr || out == nullptr) {
    BIO_free(in);
    BIO_free(out);
    SSL_free(ssl);
    return absl::ResourceExhaustedError("etcd: no memory for a TLS session");
  }
  std::unique_ptr<TlsSession> session(new TlsSession(ssl));
  SSL_set_bio(ssl, in, out);  // which owns both now
  SSL_set_connect_state(ssl);
  SSL_set_alpn_protos(ssl, kAlpn.data(), kAlpn.size());
  if (Address::Parse(host).ok()) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  const absl::Status begun = session->Handshake();
  if (!begun.ok()) return begun;
  return session;
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

absl::Status TlsSession::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return absl::OkStatus();
    std::string reason = LastError();
    if (const long verify = SSL_get_verify_result(ssl_); verify != X509_V_OK)
      absl::StrAppend(&reason, " (", X509_verify_cert_error_string(verify), ")");
    return absl::UnavailableError(absl::StrCat("TLS: ", reason));
  }
  const unsigned char* protocol = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &length);
  if (length != 2 || protocol[0] != 'h' || protocol[1] != '2')
    return absl::UnavailableError("TLS: the server does not speak HTTP/2");
  ready_ = true;
  return Encrypt(std::exchange(early_, std::string()));
}

absl::Status TlsSession::Receive(std::string_view bytes, std::string* plain) {
  // A memory BIO takes everything.
  BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  if (!ready_) {
    const absl::Status handshake = Handshake();
    if (!handshake.ok() || !ready_) return handshake;
  }
  std::array<char, 16'384> buffer;  // the longest record (RFC 8446, section 5.1)
  while (true) {
    ERR_clear_error();
    const int got = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
    if (got > 0) {
      plain->append(buffer.data(), static_cast<size_t>(got));
      continue;
    }
    const int error = SSL_get_error(ssl_, got);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return absl::OkStatus();
    if (error == SSL_ERROR_ZERO_RETURN) return absl::UnavailableError("TLS: closed by the server");
    return absl::UnavailableError(absl::StrCat("TLS: ", LastError()));
  }
}

absl::Status TlsSession::Encrypt(std::string_view plain) {
  if (plain.empty()) return absl::OkStatus();
  ERR_clear_error();
  // Into a memory BIO everything is written at once.
  const int written = SSL_write(ssl_, plain.data(), static_cast<int>(plain.size()));
  if (written == static_cast<int>(plain.size())) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("TLS: ", LastError()));
}

absl::Status TlsSession::Send(std::string_view plain) {
  if (ready_) return Encrypt(plain);
  early_.append(plain);
  return absl::OkStatus();
}

void TlsSession::TakeOutput(std::string* out) {
  BIO* const bio = SSL_get_wbio(ssl_);
  const size_t pending = BIO_ctrl_pending(bio);
  const size_t before = out->size();
  out->resize(before + pending);
  if (pending > 0) BIO_read(bio, out->data() + before, static_cast<int>(pending));
}

}  // namespace fastcontainer::etcd
