"""What official services and the links themselves can add to the fiches: asked for, never needed.

Nothing here runs during a harvest. Each answer is kept in a cache of the warehouse, by a hash of
what was asked, so that a question is asked again only once its answer is old. Without network, a
pass says so and leaves everything as it was.
"""

from lowtech_data.enrich.cache import EnrichmentError, held
from lowtech_data.enrich.service import Report, is_online, present_fiches

__all__ = ["EnrichmentError", "Report", "held", "is_online", "present_fiches"]
