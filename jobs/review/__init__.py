"""``lectern review``: a page of this machine on which a person accepts, edits or rejects rows by keyboard."""

from jobs.review.server import serve_review

__all__ = ["serve_review"]
