package transport

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// domain marks the details that are ours.
const domain = "cartwheel"

// Keys of the detail's metadata.
const (
	metaDefinite = "definite" // "true": no replica has the write or will; "false": it may live
	metaAlso     = "also"     // further reasons, separated by commas
	metaRequest  = "request"  // id of the request, which logs name, too
)

// reasonNotSent is given by this side of a connection when a request never left it.
const reasonNotSent = "NOT_SENT"

// A kind is an error that can be tested for, as it is on the wire.
type kind struct {
	reason string
	err    error
	code   codes.Code
}

// kinds in the order of precedence: the first that an error is gives it its code. A
// missed quorum comes first, because only it knows how far a write got.
var kinds = []kind{
	{"SESSION_NOT_SATISFIED", store.ErrSession, codes.Unavailable},
	{"NO_QUORUM", store.ErrNoQuorum, codes.Unavailable},
	{"INVALID", store.ErrInvalid, codes.InvalidArgument},
	{"TOO_LARGE", store.ErrTooLarge, codes.InvalidArgument},
	{"BAD_CONTEXT", store.ErrBadContext, codes.InvalidArgument},
	{"NOT_OWNER", store.ErrNotOwner, codes.FailedPrecondition},
	{"NOT_MEMBER", store.ErrNotMember, codes.FailedPrecondition},
	{"WRONG_RING", store.ErrWrongRing, codes.FailedPrecondition},
	{"SIBLINGS", store.ErrSiblings, codes.ResourceExhausted},
	{"DENIED", store.ErrDenied, codes.PermissionDenied},
	{"DRAINING", store.ErrDraining, codes.Unavailable},
	{"PROTOCOL", store.ErrProtocol, codes.FailedPrecondition},
	{"OVERLOADED", store.ErrOverloaded, codes.ResourceExhausted},
	{"READ_ONLY_DISK", store.ErrReadOnly, codes.FailedPrecondition},
	{"CLOSED", store.ErrClosed, codes.Unavailable},
	{"CORRUPT", store.ErrCorrupt, codes.Internal},
	{"DOWN", store.ErrDown, codes.Unavailable},
	{reasonNotSent, store.ErrDown, codes.Unavailable},
	{"DEADLINE", context.DeadlineExceeded, codes.DeadlineExceeded},
	{"CANCELED", context.Canceled, codes.Canceled},
}

// encode turns an error of a handler into a status. Every status has the oath on it, and names the request, if it has an id.
func encode(err error, request string) error {
	if err == nil {
		return nil
	}
	code, info := codes.Internal, &errdetails.ErrorInfo{
		Reason: "INTERNAL", Domain: domain,
		Metadata: map[string]string{metaDefinite: strconv.FormatBool(store.Definite(err))},
	}
	var also []string
	for _, k := range kinds {
		switch {
		case k.reason == reasonNotSent || !errors.Is(err, k.err):
		case info.Reason == "INTERNAL":
			code, info.Reason = k.code, k.reason
		default:
			also = append(also, k.reason)
		}
	}
	if request != "" {
		info.Metadata[metaRequest] = request
	}
	if len(also) > 0 {
		info.Metadata[metaAlso] = strings.Join(also, ",")
	}
	details := []protoadapt.MessageV1{info}
	var missed *store.QuorumError
	if errors.As(err, &missed) {
		details = append(details, failureToProto(missed))
	}
	var session *store.SessionError
	if errors.As(err, &session) {
		details = append(details, &storepb.SessionFailure{Meta: metaToProto(session.Meta)})
	}
	st, derr := status.New(code, strings.ToValidUTF8(err.Error(), "?")).WithDetails(details...)
	if derr != nil { // the details are our own messages: they always marshal
		return status.Error(codes.Internal, err.Error())
	}
	return st.Err()
}

// notSent is the error of a request that never left this process. One that did not because a certificate was refused, by either side,
// is store.ErrDenied as well: to wait or to look for a cut would be in vain.
func notSent(err error) error {
	s := status.Convert(err)
	info := &errdetails.ErrorInfo{Reason: reasonNotSent, Domain: domain, Metadata: map[string]string{metaDefinite: "true"}}
	text := s.Message()
	if certificateRefused(text) {
		info.Metadata[metaAlso] = "DENIED"
		text = "certificate refused: " + text
	}
	st, derr := status.New(s.Code(), text).WithDetails(info)
	if derr != nil {
		return err
	}
	return st.Err()
}

// certificateRefused reports whether a connection failed by its handshake. gRPC hands on no more than the text of what crypto/tls said: of
// this side's check of a certificate (x509), or of the alert by which the other side has refused ours.
func certificateRefused(text string) bool {
	return strings.Contains(text, "x509: ") || strings.Contains(text, "tls: ") && strings.Contains(text, "certificate")
}

// remote is an error that came over the wire.
type remote struct {
	status *status.Status
	causes []error
}

func (e *remote) Error() string              { return e.status.Message() }
func (e *remote) Unwrap() []error            { return e.causes }
func (e *remote) GRPCStatus() *status.Status { return e.status }

// Decode turns the error of a call into one that can be tested with errors.Is for the
// sentinels of package store and those of package context, and with errors.As for a
// *store.QuorumError. Whether a write may live is then store.Definite's to say.
func Decode(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &remote{status: st}
	for _, reason := range reasons(st) {
		if i := slices.IndexFunc(kinds, func(k kind) bool { return k.reason == reason }); i >= 0 && !carried(kinds[i].err) {
			e.causes = append(e.causes, kinds[i].err)
		}
	}
	for _, d := range st.Details() {
		switch f := d.(type) {
		case *storepb.QuorumFailure:
			e.causes = append(e.causes, failureFromProto(f))
		case *storepb.SessionFailure:
			e.causes = append(e.causes, &store.SessionError{Meta: metaFromProto(f.GetMeta())})
		}
	}
	// Contexts end on this side without any detail.
	switch st.Code() {
	case codes.DeadlineExceeded:
		e.causes = append(e.causes, context.DeadlineExceeded)
	case codes.Canceled:
		e.causes = append(e.causes, context.Canceled)
	}
	if store.Definite(e) && oath(st).GetMetadata()[metaDefinite] != "true" {
		e.causes = slices.DeleteFunc(e.causes, store.Definite) // when in doubt, indefinite
	}
	return e
}

// carried reports whether an error travels as a detail of its own, with what it tells.
func carried(err error) bool { return err == store.ErrNoQuorum || err == store.ErrSession }

// oath returns our detail of a status, nil if there is none.
func oath(st *status.Status) *errdetails.ErrorInfo {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return info
		}
	}
	return nil
}

// reasons returns all that a status claims to be.
func reasons(st *status.Status) []string {
	info := oath(st)
	if info == nil {
		return nil
	}
	out := []string{info.GetReason()}
	if also := info.GetMetadata()[metaAlso]; also != "" {
		out = append(out, strings.Split(also, ",")...)
	}
	return out
}

// Request returns the id by which logs name the request that an error is about; empty: the error does not tell.
func Request(err error) string {
	st, _ := status.FromError(err) // finds one that is wrapped, too
	return oath(st).GetMetadata()[metaRequest]
}

// isCanceled reports whether a call ended because its caller gave it up.
func isCanceled(err error) bool {
	st := status.Convert(err)
	info := oath(st)
	return st.Code() == codes.Canceled && (info == nil || info.GetReason() == reasonNotSent)
}

// Unanswered reports whether the error of a call means that the node was not reached, as
// opposed to an answer that is an error.
func Unanswered(err error) bool {
	if err == nil {
		return false
	}
	st := status.Convert(err)
	info := oath(st)
	switch {
	case info.GetReason() == reasonNotSent:
		return true
	case info != nil:
		return false
	}
	return st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded
}
